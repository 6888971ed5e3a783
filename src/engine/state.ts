/**
 * The state of a shard is an immutable value, and an entry takes it to the next one:
 *
 *     state(V)  =  the newest manifest in an entry <= V, which covers up to C,  +  the deltas of entries C+1 … V
 *
 * Recovery, following and committing all go through `applyEntry`, and a snapshot is a state that somebody keeps.
 */
import { toBinary } from '../bytes/binary.js'
import { equalBytes } from '../bytes/compare.js'
import { corrupt, damaged } from '../errors.js'
import { decodeDelta } from '../log/delta.js'
import { decodeEntry, emptyCarried, type Carried, type Entry } from '../log/entry.js'
import type { Seal } from '../log/shard-parts.js'
import {
  type SegmentRef,
  type SegmentSource,
  decodeManifest,
  decodeReferences,
  type CodedRuns,
  type Manifest,
  type Run,
  type StoreConfig,
} from '../manifest/manifest.js'
import { contentHash } from '../storage/platform.js'
import type { Held, LogContext, ShardContext } from './context.js'
import { memtableOfDelta, Memtable } from './memtable.js'
import { INDEX_STATES } from './slot.js'

export interface TailEntry {
  readonly n: number
  /** The time of its header. */
  readonly time: number
  /** Its changes, in memory … */
  readonly memtable: Memtable | undefined
  /** … or in segments. */
  readonly references: CodedRuns | undefined
  /** Bytes of its changes, about, before compression. */
  readonly bytes: number
}

export interface ShardState {
  /** The id of its log: a store that was destroyed and made anew has another. */
  readonly logId: Uint8Array
  /** The newest entry. */
  readonly head: number
  /** Its content hash, and who wrote it; `undefined` while recovery has not read an entry yet. */
  readonly headHash: Uint8Array | undefined
  readonly writer?: Uint8Array | undefined
  readonly carried: Carried
  readonly manifest: Manifest
  /** Entries that the manifest does not cover, ascending without gaps. */
  readonly tail: readonly TailEntry[]
  /** The newest entry among those applied that put another state in place of the one before it. */
  readonly resetAt?: number | undefined
  /** Some of its tables may have indexes. */
  readonly hasIndexes?: boolean | undefined
  /** It was repaired: its manifest is older than the one that the log names, until the next fold. */
  readonly isRepaired?: boolean | undefined
  /** The log was sealed by its head. */
  readonly seal?: Seal | undefined
  /** It was put together from states of several logs, or from past ones of logs that were sealed (shards/composed.ts). */
  readonly of?: Composed | undefined
}

/** A log whose states are read, with what is known of damage in it. */
export interface KeptLog extends OpenLog {
  readonly detector: { repair(state: ShardState, error: unknown): Promise<ShardState> }
}

/** The state of one log, of which these partitions count. */
export interface StatePart {
  readonly of: KeptLog
  readonly state: ShardState
  readonly first: number
  readonly last: number
}

/** What a state was put together from. */
export interface Composed {
  /** By their partitions. */
  readonly parts: readonly StatePart[]
  /** The same, put together from equal states. */
  with(states: readonly ShardState[]): ShardState
  /** A state of one of the logs, to be read as this one is. */
  only(at: number, state: ShardState): ShardState
  /** A step of what is read of it: who collects in the logs has to know of it. */
  keep(own: Held): void
}

/** The states that one was put together from: itself alone, as a rule. */
export function statesOf(state: ShardState): readonly ShardState[] {
  return state.of?.parts.map((part) => part.state) ?? [state]
}

/** Stands in until a manifest is read. */
const NO_CONFIG: StoreConfig = { partitions: 1, job: undefined, created: 0 }

/** Stands for the state at entry `head` before anything is read: the entries after it bring the manifest and the rest. */
export function emptyState(logId: Uint8Array, head: number, config = NO_CONFIG): ShardState {
  const manifest: Manifest = { config, covers: head, codecs: new Map(), runs: [] }
  return { logId, head, headHash: undefined, carried: emptyCarried('exclusive'), manifest, tail: [] }
}

/** A log that was opened just now, and the state that was found in it. */
export type OpenedLog = OpenLog

/** An entry with the segments that it names. */
export interface EntryHead {
  readonly entry: Entry
  readonly references: CodedRuns | undefined
  readonly manifest: Manifest | undefined
}

/** An entry that was read or is about to be written, with what is known of it already. */
export interface AppliedEntry extends EntryHead {
  readonly hash: Uint8Array
  readonly memtable: Memtable | undefined
}

type LogOfEntry = Pick<LogContext, 'logId' | 'path' | 'platform'>

/** A log that is open, and its newest state that is known here. */
export interface OpenLog {
  readonly context: ShardContext
  readonly log: LogContext
  readonly state: ShardState
}

/** Reads an entry's bytes: header, delta and manifest, each checked. */
export async function parseEntry(log: LogOfEntry, n: number, bytes: Uint8Array): Promise<AppliedEntry> {
  const head = parseHead(log, n, bytes)
  const { delta } = head.entry
  const memtable = delta && memtableOfDelta(await decodeDelta(log.platform, delta, `The delta of entry ${n}`))
  return { ...head, hash: await contentHash(log.platform, bytes), memtable }
}

/** The same without the changes that it holds: these take a hundred times as long. */
export function parseHead({ logId, path: ownLog }: LogOfEntry, n: number, bytes: Uint8Array): EntryHead {
  const entry = decodeEntry(bytes, n, logId)
  const manifest = entry.manifest && decodeManifest(entry.manifest, ownLog, `The manifest in entry ${n}`)
  if (manifest && manifest.covers >= n) throw damaged(`Entry ${n}`, `its manifest covers ${manifest.covers}`)
  const references = entry.references && decodeReferences(entry.references, ownLog, `The delta of entry ${n}`)
  return { entry, references, manifest }
}

export function applyEntry(state: ShardState, applied: AppliedEntry): ShardState {
  const { entry, hash, memtable, references } = applied
  if (entry.n !== state.head + 1) throw corrupt(`Entry ${state.head + 1} is missing: the log goes on with ${entry.n}.`)
  if (entry.parent && state.headHash && !equalBytes(entry.parent, state.headHash)) {
    throw corrupt(`Entry ${entry.n} does not follow entry ${state.head}: the hash of its parent does not match.`)
  }
  const carried = entry.carried ?? { ...state.carried, mode: entry.mode }
  const manifest = applied.manifest ?? state.manifest
  const later = applied.manifest ? state.tail.filter(({ n }) => n > manifest.covers) : state.tail
  // Else a snapshot that reads its first entry alone would keep all that was gathered from there on in memory.
  if (later.length < state.tail.length) longest.delete(state.tail[0]!)
  const tail = [...later, { n: entry.n, time: carried.time, memtable, references, bytes: memtable?.bytes ?? 0 }]
  const resetAt = entry.kind === 'reset' ? entry.n : state.resetAt
  const isRepaired = applied.manifest ? undefined : state.isRepaired
  const { logId } = state
  const { n: head, writerId: writer } = entry
  const hasIndexes = state.hasIndexes || mayIndex(applied)
  const { seal } = entry
  return { logId, head, headHash: hash, writer, carried, manifest, tail, resetAt, isRepaired, hasIndexes, seal }
}

const STATES = toBinary(INDEX_STATES)

/** Whether an entry has the state of an index. */
function mayIndex({ memtable, manifest, references }: AppliedEntry): boolean {
  if (manifest?.codecs.has(STATES) || references?.codecs.has(STATES)) return true
  for (const { slot } of memtable?.slots.values() ?? []) if (equalBytes(slot.table, INDEX_STATES)) return true
  return false
}

/** Neighbouring entries of a tail as one: what all of them changed, or what one of them lists. */
export interface Layer {
  readonly memtable: Memtable | undefined
  readonly references: CodedRuns | undefined
  readonly entries: number
}

/** So many layers of as many entries become one. */
const LAYERS = 8

const layers = new WeakMap<readonly TailEntry[], readonly Layer[]>()
/** By the first entry of a tail: the longest one that begins with it and was read. */
const longest = new WeakMap<TailEntry, readonly TailEntry[]>()

/**
 * The tail, oldest first, in so few layers that a read can ask each: like sizes are gathered, as in a counter. They are made
 * when somebody reads, and go on from those of the last read.
 */
export function layersOf(tail: readonly TailEntry[]): readonly Layer[] {
  const known = layers.get(tail)
  const [first] = tail
  if (known || first === undefined) return known ?? []
  const before = longest.get(first) ?? []
  const { length } = before
  const goesOn = tail[length - 1] === before[length - 1]
  const made = tail.slice(goesOn ? length : 0).reduce(withEntry, goesOn ? layersOf(before) : [])
  layers.set(tail, made)
  if (tail.length >= length) longest.set(first, tail)
  return made
}

/** The tail with one more entry, for who reads each tail on the way: its layers go on from those of this one, at once. */
export function longerTail(tail: readonly TailEntry[], entry: TailEntry): readonly TailEntry[] {
  const longer = [...tail, entry]
  layers.set(longer, withEntry(layersOf(tail), entry))
  return longer
}

/** A tail that was put together from others, with what theirs come to. */
export function layTail(tail: readonly TailEntry[], made: readonly Layer[]): void {
  layers.set(tail, made)
}

function withEntry(before: readonly Layer[], { memtable, references }: TailEntry): readonly Layer[] {
  if (memtable === undefined && references === undefined) return before
  const after: Layer[] = [...before, { memtable, references, entries: 1 }]
  for (;;) {
    const last = after.slice(-LAYERS)
    const { entries } = last[0]!
    if (last.length < LAYERS || last.some((layer) => layer.references || layer.entries !== entries)) return after
    const merged = new Memtable()
    for (const layer of last) merged.absorb(layer.memtable!)
    after.splice(-LAYERS, LAYERS, { memtable: merged, references: undefined, entries: entries * LAYERS })
  }
}

/** The runs that a state reads, oldest first: those of its manifest, and those of large commits that no fold lists yet. */
export function runsOf({ manifest, tail }: SegmentSource): Run[] {
  return [...manifest.runs, ...tail.flatMap(({ references }) => references?.runs ?? [])]
}

/** All segments that a state reads. */
export function segmentsOf(source: SegmentSource): SegmentRef[] {
  return runsOf(source).flat()
}

export function tailBytes(state: ShardState): number {
  return state.tail.reduce((sum, { bytes }) => sum + bytes, 0)
}

/** Codec id of a table as recorded: by the newest entry of the tail that has it, else by the manifest. */
export function recordedCodec(state: ShardState, table: Uint8Array): string | undefined {
  const name = toBinary(table)
  for (const layer of [...layersOf(state.tail)].reverse()) {
    const codec = tailCodecs(layer).get(name)
    if (codec !== undefined) return codec
  }
  return state.manifest.codecs.get(name)
}

const NONE: ReadonlyMap<string, string> = new Map()

/** Codec ids by table, of what an entry changed. */
export function tailCodecs({
  memtable,
  references,
}: Pick<TailEntry, 'memtable' | 'references'>): ReadonlyMap<string, string> {
  if (references) return references.codecs
  return memtable ? memtableCodecs(memtable) : NONE
}

export function memtableCodecs(memtable: Memtable): ReadonlyMap<string, string> {
  return new Map(Array.from(memtable.slots.values(), ({ slot, codec }) => [toBinary(slot.table), codec]))
}
