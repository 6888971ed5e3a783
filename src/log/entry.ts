/**
 * An entry of the log, as bytes (docs/format.md, "Entries"). Everything that happens to a store is an entry: its number is
 * the version, it is written once, and it is never overwritten.
 *
 * The header carries forward what a reader would otherwise have to look for: the newest version, offsets, where the
 * newest manifest is and what it covers, the trim number, mode and time. A fence may be written without knowing the entry
 * before it; it has no parent hash and carries nothing: readers keep what the entry before it says.
 */
import { equalBytes } from '../bytes/compare.js'
import { unseal, seal } from '../bytes/envelope.js'
import { HASH_BYTES } from '../bytes/hash.js'
import { ByteReader } from '../bytes/reader.js'
import { ByteWriter } from '../bytes/writer.js'
import { TidemarkError } from '../errors.js'
import { NO_OFFSETS, readOffsets, writeOffsets, type OffsetMap } from './offsets.js'

export const ID_BYTES = 16

/** `commit` and `reset` are versions; the others only take a number. */
export type EntryKind = 'commit' | 'reset' | 'fence' | 'fold' | 'collect' | 'void'
export type WriteMode = 'exclusive' | 'shared'

const KINDS: readonly EntryKind[] = ['commit', 'reset', 'fence', 'fold', 'collect', 'void']
const MODES: readonly WriteMode[] = ['exclusive', 'shared']

/** What every header repeats from the entry before it, changed by what its own entry does. */
export interface Carried {
  readonly mode: WriteMode
  /** Milliseconds since the epoch; never below that of the entry before. */
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
}

export interface Entry {
  readonly n: number
  readonly kind: EntryKind
  /** Of the log; an entry copied into another log is not taken for its own. */
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
}

// One bit per optional part, in the order in which they follow. The bits after these have their place in the format
// already (docs/format.md, "Entries") and are refused by name until a release writes them.
const PARTS = ['parent', 'label', 'meta', 'delta', 'manifest', 'delta by reference'] as const
const RESERVED_PARTS = ['a reset', 'a collection', 'a sync point']
const bit = (part: (typeof PARTS)[number]): number => 1 << PARTS.indexOf(part)

export function encodeEntry(entry: Entry): Uint8Array {
  const w = new ByteWriter(256 + (entry.delta?.length ?? 0) + (entry.manifest?.length ?? 0))
  w.varint(entry.n)
  w.u8(KINDS.indexOf(entry.kind))
  w.u8(MODES.indexOf(entry.mode))
  w.raw(entry.logId)
  w.raw(entry.writerId)
  w.varint(entry.write)
  let parts = 0
  if (entry.parent) parts |= bit('parent')
  if (entry.label !== undefined) parts |= bit('label')
  if (entry.meta !== undefined) parts |= bit('meta')
  if (entry.delta) parts |= bit('delta')
  if (entry.manifest) parts |= bit('manifest')
  if (entry.references) parts |= bit('delta by reference')
  w.varint(parts)
  if (entry.parent) {
    const carried = entry.carried!
    w.raw(entry.parent)
    w.varint(carried.time)
    w.varint(carried.version)
    w.varint(carried.versionTime)
    w.varint(carried.manifestAt)
    w.varint(carried.covers)
    w.varint(carried.trim)
    writeOffsets(w, carried.offsets)
  }
  if (entry.label !== undefined) w.string(entry.label)
  if (entry.meta !== undefined) w.string(entry.meta)
  if (entry.delta) w.bytes(entry.delta)
  if (entry.manifest) w.bytes(entry.manifest)
  if (entry.references) w.bytes(entry.references)
  return seal('entry', w.finish())
}

/** Checks that the bytes are entry `n` of this log; `CORRUPT` or `UNSUPPORTED_FORMAT` otherwise. */
export function decodeEntry(bytes: Uint8Array, n: number, logId: Uint8Array | undefined): Entry {
  const what = `Entry ${n}`
  const r = new ByteReader(unseal('entry', bytes, what), what)
  if (r.varint() !== n) r.fail('another entry number')
  const kind = KINDS[r.u8()] ?? r.fail('an unknown kind')
  const mode = MODES[r.u8()] ?? r.fail('an unknown mode')
  const ownLog = r.raw(ID_BYTES)
  if (logId && !equalBytes(logId, ownLog)) r.fail('the id of another log')
  const writerId = r.raw(ID_BYTES)
  const write = r.varint()
  const parts = r.varint()
  if (parts >= 1 << PARTS.length) {
    const part = Math.floor(Math.log2(parts))
    throw new TidemarkError(
      'UNSUPPORTED_FORMAT',
      `${what} holds ${RESERVED_PARTS[part - PARTS.length] ?? `part ${part}`}, which this release does not read. Open it with a newer release of tidemark.`,
    )
  }
  const has = (part: (typeof PARTS)[number]): boolean => (parts & bit(part)) !== 0
  let parent: Uint8Array | undefined
  let carried: Carried | undefined
  if (has('parent')) {
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
    }
    if (carried.version > n || carried.manifestAt > n || carried.covers >= n || carried.trim >= n) {
      r.fail('a header that names later entries')
    }
  } else if (kind !== 'fence') r.fail('no parent')
  const entry: Entry = {
    n,
    kind,
    logId: ownLog,
    writerId,
    write,
    parent,
    mode,
    carried,
    label: has('label') ? r.string() : undefined,
    meta: has('meta') ? r.string() : undefined,
    delta: has('delta') ? r.bytes() : undefined,
    manifest: has('manifest') ? r.bytes() : undefined,
    references: has('delta by reference') ? r.bytes() : undefined,
  }
  r.end()
  return entry
}

/** Two appends with the same write id are one and the same append, sent twice. */
export function sameWrite(a: Entry, b: Entry): boolean {
  return a.write === b.write && equalBytes(a.writerId, b.writerId)
}

/** What a log without entries carries. */
export function emptyCarried(mode: WriteMode): Carried {
  return { mode, time: 0, version: 0, versionTime: 0, offsets: NO_OFFSETS, manifestAt: 0, covers: 0, trim: 0 }
}
