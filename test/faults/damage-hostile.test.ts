import { emptyCarried } from '../../src/log/entry.js'
import { decodePin } from '../../src/log/pin.js'
import { deflateSync } from 'fflate'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { openStore, type Storage, type Store } from 'tidemark'
import { verify } from 'tidemark/tools'
import { decodeHeader, encodeHeader } from '../../adapters/node-fs/log/format.js'
import { seal, unseal } from '../../src/bytes/envelope.js'
import { concat } from '../../src/bytes/concat.js'
import type { ByteWriter } from '../../src/bytes/writer.js'
import { eachAdapter } from '../support/counting.js'
import { bytesOf, craft, craftAnchor, craftEntry, craftSegment, indexOf, manifestOf } from '../support/crafted.js'
import { contentHash, LOG, NAME, RECORD, resealed, type Parts } from '../support/crafted.js'
import { adapters, collect } from '../support/storages.js'

/** Opens and reads everything; how it ends. */
async function read(storage: Storage): Promise<unknown> {
  let store: Store | undefined
  try {
    store = await openStore({ storage, name: NAME, mode: 'follower' })
    await store.get('k')
    return { entries: await collect(store.entries()), versions: await collect(store.versions()) }
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    return code === undefined ? error : { code, message }
  } finally {
    await store?.close()
  }
}

afterEach(() => vi.unstubAllGlobals())

/** The largest byte array that was made meanwhile, and by how much those in memory have grown. */
async function allocated(act: () => Promise<unknown>): Promise<number> {
  let largest = 0
  const counting = (type: typeof Uint8Array | typeof ArrayBuffer): unknown =>
    new Proxy(type, {
      construct(target, args: unknown[]) {
        if (typeof args[0] === 'number') largest = Math.max(largest, args[0])
        return Reflect.construct(target, args) as object
      },
    })
  vi.stubGlobal('Uint8Array', counting(Uint8Array))
  vi.stubGlobal('ArrayBuffer', counting(ArrayBuffer))
  const before = process.memoryUsage().arrayBuffers
  await act()
  vi.unstubAllGlobals()
  return Math.max(largest, process.memoryUsage().arrayBuffers - before)
}

const HUGE = 2 ** 40
const varints = (...numbers: number[]): Uint8Array => bytesOf((w) => numbers.forEach((n) => w.varint(n)))
/** `length` is that before compression, 0 for none. */
const deltaOf = (delta: Uint8Array, length = 0): Parts => ({
  entries: [craftEntry({}), commit({ delta: concat([varints(length), delta]) })],
})
const manifest = (write: (w: ByteWriter) => void): Parts => ({
  entries: [craftEntry({ manifest: concat([varints(0, 1, 0, 0), bytesOf(write)]) })],
})
const segment = (...args: Parameters<typeof craftSegment>): Parts => ({ segment: craftSegment(...args) })
const good = craftSegment({})
const stored = (raw: Uint8Array): Uint8Array => concat([Uint8Array.of(0), raw])

function commit(part: Parameters<typeof craftEntry>[0]): Uint8Array {
  const carried = { ...emptyCarried('exclusive'), version: 2, manifestAt: 1 }
  const parent = contentHash(craftEntry({}))
  const whole = {
    n: 2,
    kind: 'commit',
    manifest: undefined,
    carried,
    parent,
  } as const
  return craftEntry({ ...whole, ...part })
}

/** Entry 1 with other bytes from its optional parts on. */
/** An entry with a header and these bytes of one part behind it. */
function sharded(part: number, rest: Uint8Array): Uint8Array {
  return entryWith(1 + part, concat([new Uint8Array(16), varints(0, 0, 0, 1, 0, 0, 0), rest]))
}

function entryWith(parts: number, rest: Uint8Array): Uint8Array {
  const blind = unseal('entry', craftEntry({ parent: undefined, carried: undefined, manifest: undefined }), 'it')
  return seal('entry', concat([blind.subarray(0, -1), varints(parts), rest]))
}

const bomb = deflateSync(new Uint8Array(64 << 20), { level: 9 })

const claims: Record<string, Parts> = {
  'a block of 2 GiB before compression': segment({ index: indexOf(2 ** 31) }),
  'a stored block of 2 GiB': segment({
    index: (w) => [1, 0, 2 ** 31, RECORD.length, 0].forEach((n) => w.varint(n)),
  }),
  'a trillion blocks': segment({ index: (w) => w.varint(HUGE) }),
  'a trillion range deletes': segment({
    index: (w, block) => [1, 0, block.length, RECORD.length, HUGE].forEach((n) => w.varint(n)),
  }),
  'a stored key of a tebibyte': segment({ block: stored(varints(HUGE)), index: indexOf(6) }),
  'a stored value of a tebibyte': segment({
    block: stored(concat([RECORD.subarray(0, 7), varints(HUGE)])),
    index: indexOf(13),
  }),
  'a block of a few bytes that inflates to 64 MiB': segment({ block: concat([Uint8Array.of(1), bomb]) }),
  'a segment of a pebibyte': segment({ ref: { length: 2 ** 50 } }),
  'an index of 32 TiB': segment({ ref: { length: 2 ** 50, indexLength: 2 ** 45 } }),
  'a filter of 32 TiB': segment({ ref: { length: 2 ** 50, filterLength: 2 ** 45 } }),
  'changes of a tebibyte before compression': deltaOf(bomb, HUGE),
  'changes of a few bytes that inflate to 64 MiB': deltaOf(bomb, 100),
  'a trillion groups of changes': deltaOf(varints(HUGE)),
  'a trillion changes': deltaOf(varints(1, 0, 0, 0, HUGE)),
  'a key of a tebibyte in a change': deltaOf(concat([varints(1, 0, 0, 0, 1, 2, HUGE), new Uint8Array(4)])),
  'a trillion tables': manifest((w) => w.varint(HUGE)),
  'a trillion logs of other stores': manifest((w) => [0, HUGE].forEach((n) => w.varint(n))),
  'a trillion runs': manifest((w) => [0, 0, HUGE].forEach((n) => w.varint(n))),
  'a trillion segments': manifest((w) => [0, 0, 1, HUGE].forEach((n) => w.varint(n))),
  'a label of a tebibyte': { entries: [entryWith(2, varints(HUGE))] },
  'a seal with a trillion parents': { entries: [entryWith(1 << 10, concat([new Uint8Array(16), varints(HUGE)]))] },
  'a log that came of a trillion others': { entries: [sharded(1 << 11, varints(0, 0, HUGE))] },
  'a turn without an end': { entries: [sharded(1 << 12, varints(1))] },
  'the spans of a trillion sources': { entries: [sharded(1 << 13, varints(HUGE))] },
  'a trillion offsets': { entries: [entryWith(1, concat([new Uint8Array(16), varints(0, 0, 0, 0, 0, 0, HUGE)]))] },
  'an entry of 4 GiB': { entries: [resealed(craftEntry({}), (head) => head.fill(0xff, 8, 12))] },
  'an entry far beyond the end of the log': {
    anchor: craftAnchor({ manifestAt: Number.MAX_SAFE_INTEGER, covers: Number.MAX_SAFE_INTEGER - 1 }),
  },
}

eachAdapter(adapters, 'bytes with valid checksums on %s that claim', (make) => {
  test.each(Object.keys(claims))('%s are CORRUPT, and next to nothing is allocated for them', async (what) => {
    const storage = await craft(make(), claims[what]!)
    let ended: unknown
    const bytes = await allocated(async () => void (ended = await read(storage)))
    expect(ended).toMatchObject({ code: 'CORRUPT' })
    expect(bytes).toBeLessThan(1 << 20)
    expect((await verify({ storage, name: NAME })).ok).toBe(false)
  })

  test('nothing untrue are read', async () => {
    const storage = await craft(make(), { segment: good })
    expect(await read(storage)).toEqual({ entries: [['k', 1]], versions: [] })
    expect(await verify({ storage, name: NAME })).toMatchObject({ ok: true, segments: 1, entries: 1 })
  })
})

describe('a manifest', () => {
  test.each([
    '../../x',
    '/etc/passwd',
    '..',
    '../0/' + '0'.repeat(32),
    './0/' + '0'.repeat(32),
    `${NAME}/0/..`,
    `${LOG}/seg`,
    '',
    'a//b',
    'A/0/' + '0'.repeat(32),
  ])('that names the log %j of another store is CORRUPT', async (log) => {
    for (const { make } of adapters) {
      const ref = { ...good.ref, log }
      const storage = await craft(make(), { entries: [craftEntry({ manifest: manifestOf([ref]) })], segment: good })
      expect(await read(storage)).toMatchObject({ code: 'CORRUPT' })
    }
  })
})

describe('a later format', () => {
  const later = (head: Uint8Array): void => void (head[4] = 2)
  const latest = (head: Uint8Array): void => void (head[4] = 3)
  const flagged = (head: Uint8Array): void => void (head[6] = 2)
  /** As docs/format.md has it: the flag, and in front of what is encrypted u8 cipher id and 16 key id. */
  const encrypted = (bytes: Uint8Array): Uint8Array => {
    const kind = (['entry', 'segment', 'anchor', 'pin', 'log file'] as const)[bytes[5]! - 1]!
    const key = Uint8Array.from({ length: 16 }, (_, i) => i)
    return resealed(
      seal(kind, concat([Uint8Array.of(7), key, unseal(kind, bytes, 'it')])),
      (head) => void (head[6] = 1),
    )
  }
  const isEncrypted = 'is encrypted \\(cipher 7, key 000102030405060708090a0b0c0d0e0f\\), which this release'
  /** An entry whose kind is `code`, behind the one byte of its number. */
  const ofKind = (code: number): Uint8Array => {
    const body = unseal('entry', craftEntry({}), 'it').slice()
    body[1] = code
    return seal('entry', body)
  }
  const ref = good.ref
  const clipped = manifestOf([{ ...ref, clip: [0, 0] }])
  const flags = clipped.slice()
  // The flags stand behind the id and the number of the log.
  flags[clipped.length - ref.lower.length - ref.upper.length - 16 - 2 - 2 - manifestTail(ref) - 1] = 2

  test.each<[string, Parts, RegExp]>([
    ['of an entry', { entries: [resealed(craftEntry({}), later)] }, /^Entry 1 .*format 2/],
    ['of an entry, by its flags', { entries: [resealed(craftEntry({}), flagged)] }, /^Entry 1 .*flags 2/],
    ['of an entry that is encrypted', { entries: [encrypted(craftEntry({}))] }, new RegExp(`^Entry 1 ${isEncrypted}`)],
    [
      'of an anchor that is encrypted',
      { anchor: encrypted(craftAnchor()) },
      new RegExp(`^The anchor of store "crafted" ${isEncrypted}`),
    ],
    ['of an entry, by the kind of a code version', { entries: [ofKind(6)] }, /^Entry 1 is of kind 6 \(code version\),/],
    ['of an entry, by a kind without a name', { entries: [ofKind(99)] }, /^Entry 1 is of kind 99,/],
    ['of the anchor', { anchor: resealed(craftAnchor(), latest) }, /^The anchor of store "crafted" .*format 3/],
    [
      'of a manifest, by the flags of a segment',
      { entries: [craftEntry({ manifest: flags })] },
      /manifest in entry 1 .*flags 2/,
    ],
    ['of an entry, by a part without a name', { entries: [entryWith(2 ** 40, varints(0))] }, /^Entry 1 holds part 40/],
  ])('%s is refused by name', async (_, parts, message) => {
    for (const { make } of adapters) {
      const storage = await craft(make(), parts)
      expect(await read(storage)).toEqual({
        code: 'UNSUPPORTED_FORMAT',
        message: expect.stringMatching(message) as string,
      })
      const { damages } = await verify({ storage, name: NAME })
      expect(damages.map(({ code }) => code)).toContain('UNSUPPORTED_FORMAT')
    }
  })

  test('of a log file that is encrypted is refused by name', () => {
    const header = encodeHeader({ id: new Uint8Array(16), g: 1, seq: 0, first: 1 })
    const file = encrypted(header.subarray(0, 60))
    expect(() => decodeHeader(file, 'x')).toThrow(new RegExp(`^The log file x ${isEncrypted}`))
  })

  test('of a pin that is encrypted, or of a kind to come, is refused by name', () => {
    const pin = seal('pin', Uint8Array.of(4))
    expect(() => decodePin(encrypted(pin), 'The pin')).toThrow(new RegExp(`^The pin ${isEncrypted}`))
    expect(() => decodePin(pin, 'The pin')).toThrow(/^The pin is of kind 4, which this release/)
  })

  test.each([
    ['later', resealed(good.bytes, later), 'Segment .*format 2'],
    ['encrypted', encrypted(good.bytes), `Segment .*${isEncrypted}`],
  ])('of a segment is refused by name where it is read whole: %s', async (_, bytes, message) => {
    const segment = { bytes, ref: { ...ref, length: bytes.length, hash: contentHash(bytes) } }
    for (const { make } of adapters) {
      const { damages } = await verify({ storage: await craft(make(), { segment }), name: NAME })
      expect(damages).toEqual([
        {
          object: ref.name,
          code: 'UNSUPPORTED_FORMAT',
          message: expect.stringMatching(message) as string,
        },
      ])
    }
  })
})

/** The bytes of the numbers between the flags of a segment and its hash. */
function manifestTail(ref: typeof good.ref): number {
  const { length, indexLength, filterLength, rawBytes, records, tombstones, ranges, expires } = ref
  return varints(length, indexLength, filterLength, rawBytes, records, tombstones, ranges, expires).length
}
