/**
 * An entry of the log, as bytes (docs/format.md, "Entries"). Everything that happens to a store is an entry: its number is
 * the version, it is written once, and it is never overwritten.
 *
 * The header carries forward what a reader would otherwise have to look for: the newest version, offsets, where the
 * newest manifest is and what it covers, the trim number, mode and time. A fence may be written without knowing the entry
 * before it; it has no parent hash and carries nothing: readers keep what the entry before it says.
 */
import { equalBytes } from '../bytes/compare.js'
import { unseal } from '../bytes/envelope.js'
import { HASH_BYTES } from '../bytes/hash.js'
import { ByteReader } from '../bytes/reader.js'
import { unsupported } from '../errors.js'
import { NO_OFFSETS, readOffsets, type OffsetMap } from './offsets.js'
import { readOwn, readSeal, readTurn, type Own, type Seal, type Turn } from './shard-parts.js'
import { NO_SPANS, readSpans, type Spans } from './spans.js'

export const ID_BYTES = 16

/** `commit` and `reset` are versions; the others only take a number. */
export type EntryKind = 'commit' | 'reset' | 'fence' | 'fold' | 'collect' | 'void' | 'index'
/** Whether one handle writes at a time, or several do. */
export type WriteMode = 'exclusive' | 'shared'

export const KINDS: readonly (EntryKind | undefined)[] = [
  'commit',
  'reset',
  'fence',
  'fold',
  'collect',
  'void',
  undefined,
  'index',
]
/** Kinds whose numbers are taken and which no release writes yet, so that this one refuses them by name. */
const RESERVED_KINDS: Readonly<Record<number, string>> = { 6: 'code version' }
export const MODES: readonly WriteMode[] = ['exclusive', 'shared']

/** Every header repeats these from the entry before it, changed by what its own entry does (R6). */
export interface Carried {
  readonly mode: WriteMode
  /** Milliseconds since the epoch; never below that of the entry before (R8). */
  readonly time: number
  /** The newest commit or reset up to here, and its time; 0 when there is none. */
  readonly version: number
  readonly versionTime: number
  readonly offsets: OffsetMap
  /** Where the newest manifest is, and the last entry that it covers. */
  readonly manifestAt: number
  readonly covers: number
  /** Entries up to here are trimmed. */
  readonly trim: number
  /** The oldest version that is kept, and the newest entry with a collection; 0 as long as nothing was collected. */
  readonly keeps: number
  readonly collectedAt: number
  /** Where this store last met another one; see `SyncPoint`. */
  readonly sync: SyncPoint | undefined
  /** The partitions of a log that came of others; `undefined` in one that has all, from its beginning on. */
  readonly own: Own | undefined
  /** Whose turn it is, where a group shares out who owns what. */
  readonly turn: Turn | undefined
  /** The positions of sources that differ between partitions. These sources are not in `offsets`. */
  readonly spans: Spans
}

/** Version `version` of the log `logId`, whose entry had `hash`, was taken over as version `at` of this log. */
export interface SyncPoint {
  readonly logId: Uint8Array
  readonly version: number
  readonly hash: Uint8Array
  readonly at: number
}

/** Where the state of a reset comes from. */
export interface Origin {
  /** Path of the log, which may be another store's. */
  readonly log: string
  readonly version: number
  /** The partitions that were put back, ascending; none stands for all. */
  readonly partitions: readonly number[]
}

export interface Entry {
  readonly n: number
  readonly kind: EntryKind
  /** The log's id: an entry copied into another log is not taken for its own. */
  readonly logId: Uint8Array
  /** Random per opened handle; with `write` it names this append and no other: the write id. */
  readonly writerId: Uint8Array
  readonly write: number
  /** Content hash of entry n-1; `undefined` in a fence that was written without it, and then `carried` is, too. */
  readonly parent: Uint8Array | undefined
  readonly mode: WriteMode
  readonly carried: Carried | undefined
  readonly label: string | undefined
  /** JSON text. */
  readonly meta: string | undefined
  /** The changes, by value (log/delta.ts) … */
  readonly delta: Uint8Array | undefined
  /** … or, when they are many, by reference to segments that hold them (manifest/manifest.ts). */
  readonly references: Uint8Array | undefined
  /** The complete list of segments (manifest/manifest.ts). */
  readonly manifest: Uint8Array | undefined
  /** Only a reset has one. */
  readonly origin: Origin | undefined
  /** The segments that an entry condemns when it collects (log/collection.ts). */
  readonly collection: Uint8Array | undefined
  /** Only a fence has one, and it is the last entry of the log that counts. */
  readonly seal: Seal | undefined
}

// One bit per optional part, in the order in which they follow.
export const PARENT = 1
export const LABEL = 2
export const META = 4
export const DELTA = 8
export const MANIFEST = 16
export const REFERENCES = 32
export const ORIGIN = 64
export const KEEPS = 128
export const COLLECTION = 256
export const SYNC_POINT = 512
export const SEAL = 1024
export const OWN = 2048
export const TURN = 4096
export const SPANS = 8192
const PARTS = 14

/** Checks that the bytes are entry `n` of this log; `CORRUPT` or `UNSUPPORTED_FORMAT` otherwise. */
export function decodeEntry(bytes: Uint8Array, n: number, logId: Uint8Array | undefined): Entry {
  const what = `Entry ${n}`
  const r = new ByteReader(unseal('entry', bytes, what), what)
  if (r.varint() !== n) r.fail('another entry number')
  const kindCode = r.u8()
  const kind = KINDS[kindCode]
  if (!kind) throw unsupported(`${what} is of kind ${kindCode}${named(RESERVED_KINDS[kindCode])}`)
  const mode = MODES[r.u8()] ?? r.fail('an unknown mode')
  const ownLog = r.raw(ID_BYTES)
  if (logId && !equalBytes(logId, ownLog)) r.fail('the id of another log')
  const writerId = r.raw(ID_BYTES)
  const write = r.varint()
  const bits = r.varint()
  if (bits >= 1 << PARTS) {
    throw unsupported(`${what} holds part ${Math.floor(Math.log2(bits))}`)
  }
  const has = (part: number): boolean => (bits & part) !== 0
  let parent: Uint8Array | undefined
  let carried: Carried | undefined
  if (has(PARENT)) {
    parent = r.raw(HASH_BYTES)
    carried = {
      mode,
      time: r.varint(),
      version: r.varint(),
      versionTime: r.varint(),
      manifestAt: r.varint(),
      covers: r.varint(),
      trim: r.varint(),
      offsets: readOffsets(r),
      keeps: 0,
      collectedAt: 0,
      sync: undefined,
      own: undefined,
      turn: undefined,
      spans: NO_SPANS,
    }
    if (carried.version > n || carried.manifestAt > n || carried.covers >= n || carried.trim >= n) {
      r.fail('an impossible header')
    }
  } else if (kind !== 'fence' && kind !== 'void') r.fail('no parent')
  const label = has(LABEL) ? r.string() : undefined
  const meta = has(META) ? r.string() : undefined
  const delta = has(DELTA) ? r.bytes() : undefined
  const manifest = has(MANIFEST) ? r.bytes() : undefined
  const references = has(REFERENCES) ? r.bytes() : undefined
  const origin = has(ORIGIN) ? readOrigin(r) : undefined
  if (has(KEEPS)) {
    const [keeps, collectedAt] = [r.varint(), r.varint()]
    if (!carried || keeps > n || collectedAt > n) return r.fail('an impossible header')
    carried = { ...carried, keeps, collectedAt }
  }
  const collection = has(COLLECTION) ? r.bytes() : undefined
  if (has(SYNC_POINT)) {
    const sync = { logId: r.raw(ID_BYTES), version: r.varint(), hash: r.raw(HASH_BYTES), at: r.varint() }
    if (!carried || sync.at > n) return r.fail('an impossible header')
    carried = { ...carried, sync }
  }
  const seal = has(SEAL) ? readSeal(r) : undefined
  if (bits >= OWN) {
    if (!carried) return r.fail('an impossible header')
    const own = has(OWN) ? readOwn(r) : undefined
    const turn = has(TURN) ? readTurn(r) : undefined
    carried = { ...carried, own, turn, spans: has(SPANS) ? readSpans(r, own) : NO_SPANS }
  }
  if (seal && (kind !== 'fence' || !carried)) r.fail('a seal where none can be')
  r.end()
  const parts = { label, meta, delta, manifest, references, origin, collection, seal }
  return { n, kind, logId: ownLog, writerId, write, parent, mode, carried, ...parts }
}

function named(name: string | undefined): string {
  return name === undefined ? '' : ` (${name})`
}

function readOrigin(r: ByteReader): Origin {
  const log = r.string()
  const version = r.varint()
  const partitions = Array.from({ length: r.count(1) }, () => r.varint())
  return { log, version, partitions }
}

/** Two appends with the same write id are one and the same append, sent twice. */
export function sameWrite(a: Entry, b: Entry): boolean {
  return a.write === b.write && equalBytes(a.writerId, b.writerId)
}

/** The header before entry 1. */
export function emptyCarried(mode: WriteMode): Carried {
  return {
    mode,
    time: 0,
    version: 0,
    versionTime: 0,
    offsets: NO_OFFSETS,
    manifestAt: 0,
    covers: 0,
    trim: 0,
    keeps: 0,
    collectedAt: 0,
    sync: undefined,
    own: undefined,
    turn: undefined,
    spans: NO_SPANS,
  }
}
