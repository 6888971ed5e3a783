/**
 * The fields of stored bytes, and the sums over them, by docs/format.md alone.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** The codes of each place, as docs/format.md numbers them from 0 on. */
export const CODES = {
  entry: ['commit', 'reset', 'fence', 'fold', 'collect', 'void', undefined, 'index'],
  mode: ['exclusive', 'shared'],
  part: [
    'parent',
    'label',
    'meta',
    'delta',
    'manifest',
    'references',
    'origin',
    'keeps',
    'collection',
    'sync',
    'seal',
    'shard',
    'turn',
    'spans',
  ],
  change: ['put', 'expiring put', 'delete', 'range delete'],
  record: ['put', 'expiring put', 'tombstone'],
  block: ['stored', 'deflated'],
  pin: ['tag', 'fork', 'reading', 'hold'],
} as const
/** The kinds of objects are numbered from 1 on. */
export const OBJECTS = ['entry', 'segment', 'anchor', 'pin', 'log file', 'lease'] as const
/** Tags of keys. */
export const TAGS = [0x04, 0x08, 0x09, 0x10, 0x20, 0x28, 0x30, 0x40, 0x50]
export const LARGEST = 2 ** 53 - 1

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
export const textOf = (bytes: Uint8Array): string =>
  new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
export const hashOf = (bytes: Uint8Array): string => hex(createHash('sha256').update(bytes).digest().subarray(0, 16))
export const order = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b)

export function must(holds: unknown, what: string): asserts holds {
  if (!holds) throw new Error(what)
}

/** The fields of some bytes, one after another. */
export class Fields {
  at = 0
  constructor(
    readonly bytes: Uint8Array,
    readonly what: string,
  ) {}

  raw(length: number): Uint8Array {
    must(this.at + length <= this.bytes.length, `${this.what} ends too early.`)
    return this.bytes.subarray(this.at, (this.at += length))
  }
  unsigned(length: number): number {
    return this.raw(length).reduceRight((sum, byte) => sum * 256 + byte, 0)
  }
  varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.unsigned(1)
      value += (byte % 128) * scale
      must(value <= LARGEST, `${this.what} has a number too large.`)
      if (byte < 128) return value
    }
  }
  numbers(count: number): number[] {
    return Array.from({ length: count }, () => this.varint())
  }
  sized(): Uint8Array {
    return this.raw(this.varint())
  }
  text(): string {
    return textOf(this.sized())
  }
  id(): string {
    return hex(this.raw(16))
  }
  many<T>(read: () => T): T[] {
    return Array.from({ length: this.varint() }, read)
  }
  left(): number {
    return this.bytes.length - this.at
  }
  end(): void {
    must(this.left() === 0, `${this.what} has ${this.left()} bytes more.`)
  }
}

/** What stands before a CRC at the end. */
export function checked(bytes: Uint8Array, what: string): Fields {
  const f = new Fields(bytes, what)
  const body = f.raw(bytes.length - 4)
  must(f.unsigned(4) === crc32(body), `${what} has a bad checksum.`)
  return new Fields(body, what)
}

/** The finaliser of MurmurHash3. */
function mix(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function keyHash(bytes: Uint8Array): number {
  return mix(bytes.reduce((h, byte) => Math.imul(h ^ byte, 0x01000193), 0x811c9dc5))
}

/** Whether the filter has all bits of a key; one without bits has every key. */
export function isIn({ bytes: [probes = 0, ...bits] }: Fields, key: Uint8Array): boolean {
  const h = BigInt(keyHash(key))
  const s = BigInt((mix(Number(h) ^ 0x9e3779b9) | 1) >>> 0)
  for (let i = 0; i < probes; i++) {
    const bit = Number(((h + BigInt(i) * s) % 2n ** 32n) % BigInt(bits.length * 8))
    if (((bits[Math.floor(bit / 8)]! >> (bit % 8)) & 1) === 0) return false
  }
  return true
}
