/** Stores made by hand, of bytes whose checksums are all valid: what somebody would write who means harm. */
import type { Storage } from 'tidemark'
import { crc32 } from '../../src/bytes/crc32.js'
import { seal } from '../../src/bytes/envelope.js'
import { HASH_BYTES } from '../../src/bytes/hash.js'
import { sha256 } from '../../src/bytes/pure.js'
import { concat } from '../../src/bytes/concat.js'
import { ByteWriter } from '../../src/bytes/writer.js'
import type { AnchorValue } from '../../src/log/anchor.js'
import { encodeAnchor } from '../../src/log/raise.js'
import { encodeEntry } from '../../src/log/encode.js'
import { emptyCarried, type Entry } from '../../src/log/entry.js'
import { encodeManifest } from '../../src/manifest/encode.js'
import type { SegmentRef } from '../../src/manifest/manifest.js'
import { segmentName } from '../../src/manifest/names.js'

export const NAME = 'crafted'
export const LOG = `${NAME}/0/${'01'.repeat(16)}`
const ID = new Uint8Array(16).fill(1)

/** The name of some content, as in docs/format.md. */
export function contentHash(bytes: Uint8Array): Uint8Array {
  return sha256(bytes).slice(0, HASH_BYTES)
}

/** The bytes that `write` writes. */
export function bytesOf(write: (w: ByteWriter) => void): Uint8Array {
  const w = new ByteWriter(64)
  write(w)
  return w.finish()
}

function withCrc(bytes: Uint8Array): Uint8Array {
  return concat([bytes, bytesOf((w) => w.u32(crc32(bytes)))])
}

/** A record as in docs/format.md, in the default table of partition 0: the key is the string `k`. */
export const RECORD = bytesOf((w) => {
  w.bytes(Uint8Array.of(0, 0, 0, 0x30, 0x6b))
  w.u8(0)
  w.bytes(Uint8Array.of(0x31))
})

export interface SegmentParts {
  /** As stored, without its checksum: u8 compression, payload. */
  readonly block?: Uint8Array
  /** Without its checksum; `block` is the stored block. */
  readonly index?: (w: ByteWriter, block: Uint8Array) => void
  readonly ref?: Partial<SegmentRef>
}

export interface Crafted {
  readonly ref: SegmentRef
  readonly bytes: Uint8Array
}

export function indexOf(rawLength: number): (w: ByteWriter, block: Uint8Array) => void {
  return (w, block) => {
    w.varint(1)
    w.bytes(new Uint8Array(0))
    w.varint(block.length)
    w.varint(rawLength)
    w.varint(0)
  }
}

export function craftSegment({ block, index = indexOf(RECORD.length), ref }: SegmentParts): Crafted {
  const stored = withCrc(block ?? concat([Uint8Array.of(0), RECORD]))
  const indexBytes = withCrc(bytesOf((w) => index(w, stored)))
  const filter = withCrc(new Uint8Array(0))
  const bytes = seal('segment', concat([stored, indexBytes, filter]))
  const facts = { rawBytes: RECORD.length, records: 1, tombstones: 0, ranges: 0, expires: 0 }
  const bounds = { lower: new Uint8Array(0), upper: new Uint8Array(64).fill(0xff), clip: undefined }
  const place = { id: ID, log: LOG, name: segmentName(LOG, ID), length: bytes.length, indexLength: indexBytes.length }
  return {
    bytes,
    ref: { ...place, filterLength: filter.length, ...facts, hash: contentHash(bytes), ...bounds, ...ref },
  }
}

const config = { partitions: 1, job: undefined, created: 0 }

export function manifestOf(segments: readonly SegmentRef[], log = LOG): Uint8Array {
  return encodeManifest({ config, covers: 0, codecs: new Map([['', 'json']]), runs: segments.map((s) => [s]) }, log)
}

export function craftEntry(part: Partial<Entry>): Uint8Array {
  const n = part.n ?? 1
  return encodeEntry({
    n,
    kind: 'fence',
    logId: ID,
    writerId: ID,
    write: n,
    parent: new Uint8Array(HASH_BYTES),
    mode: 'exclusive',
    carried: { ...emptyCarried('exclusive'), manifestAt: 1 },
    label: undefined,
    meta: undefined,
    delta: undefined,
    references: undefined,
    origin: undefined,
    collection: undefined,
    seal: undefined,
    manifest: manifestOf([]),
    ...part,
  })
}

export function craftAnchor(value: Partial<AnchorValue> = {}): Uint8Array {
  return encodeAnchor({ logId: ID, trim: 0, manifestAt: 1, covers: 0, time: 0, ...value })
}

export interface Parts {
  readonly entries?: readonly Uint8Array[]
  readonly anchor?: Uint8Array
  readonly segment?: Crafted
}

/** Puts the parts into the storage; what is left out is as it should be. */
export async function craft(storage: Storage, { entries, anchor = craftAnchor(), segment }: Parts): Promise<Storage> {
  const log = storage.log(LOG)
  const all = entries ?? [craftEntry({ manifest: manifestOf(segment ? [segment.ref] : []) })]
  if (segment) await storage.blobs.put(segment.ref.name, segment.bytes)
  for (const [i, bytes] of all.entries()) await (i === 0 ? log.claim(1, bytes, 1) : log.append(i + 1, bytes, 1))
  await log.close()
  await storage.anchor(`${NAME}/0/anchor`).swap(undefined, anchor, 0)
  return storage
}

/** The same object in another format or with flags, its header's checksum made valid again. */
export function resealed(bytes: Uint8Array, change: (head: Uint8Array) => void): Uint8Array {
  const changed = bytes.slice()
  change(changed)
  new DataView(changed.buffer).setUint32(12, crc32(changed.subarray(0, 12)), true)
  return changed
}
