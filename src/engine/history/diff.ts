/**
 * The difference of two states. What both stand on says the same of every key in both, and is left out: only keys that the
 * rest names, and what its range deletes cover, are looked up. Where the rest is most of the data, both are walked side by
 * side instead. Nothing is decoded, and nothing is kept but one batch.
 */
import { compareBytes, equalBytes } from '../../bytes/compare.js'
import { bytesToMapKey, decodeKey, type Key } from '../../bytes/keys.js'
import type { Run, SegmentRef } from '../../manifest/manifest.js'
import type { SegmentCache } from '../../segment/cache.js'
import { ArrayCursor, RunCursor, meets, runRanges, type Cursor } from '../../segment/cursor.js'
import { MergeCursor } from '../../segment/merge.js'
import { isCovered, unionRanges } from '../../segment/ranges.js'
import type { KeyedRecord, KeyRange, StoredRecord } from '../../segment/record.js'
import { SiftingCursor } from '../../segment/sift.js'
import { Memtable } from '../memtable.js'
import { MemtableRecord, Point } from '../point.js'
import { counts, lookUpLoading, viewOf, type View } from '../read.js'
import { scan } from '../scan.js'
import type { Slot } from '../slot.js'
import { segmentsOf, statesOf, type ShardState, type TailEntry } from '../state.js'

type AnyRecord = Point | StoredRecord

/** A key that may differ, and the newest records of it: a tombstone, or `undefined`, when it is not there. */
export interface Difference {
  /** With the slot's prefix. */
  readonly key: Uint8Array
  readonly before: AnyRecord | undefined
  readonly after: AnyRecord | undefined
}

export interface CompareOptions {
  /** The only entry that lies between the two states. Default: found out. */
  readonly entry?: TailEntry | undefined
  /** Whether what expires between the two counts, by the time of each version. */
  readonly expiring?: boolean | undefined
  /** How many keys are looked up at once. */
  readonly batch?: number | undefined
}

type Views = readonly [before: View, after: View]
type Source = Memtable | Run

const BATCH = 64
/** Keys walked side by side before other work gets a chance, whether or not they differ. */
const STRIDE = 512

/** Two states, of which any number of slots can be compared. */
export class Comparison {
  readonly #views: Views
  readonly #batch: number
  /** The sources of each state that the other does not have. */
  readonly #apart: readonly [Source[], Source[]]
  readonly #sides: readonly [Side, Side] | undefined
  /** From after the earlier version's time up to the later one's: what expires then differs. */
  readonly #span: readonly [after: number, upTo: number] | undefined

  constructor(before: ShardState, after: ShardState, cache: SegmentCache, options: CompareOptions = {}) {
    const { entry, expiring = false, batch = BATCH } = options
    this.#views = [viewOf(before, [], cache), viewOf(after, [], cache)]
    this.#batch = batch
    const [a, b] = [before.carried.versionTime, after.carried.versionTime]
    this.#span = expiring && a !== b ? [Math.min(a, b), Math.max(a, b)] : undefined
    if (entry) this.#apart = [[], sourcesOf(entry)]
    else {
      const sides = [sideOf(before), sideOf(after)] as const
      this.#sides = sides
      this.#apart = [apart(before, after, sides[1]), apart(after, before, sides[0])]
    }
  }

  /** In key order, batch by batch; a batch may be empty. What is the same in both is passed over. */
  async *within(slot: Slot, bounds: KeyRange): AsyncGenerator<readonly Difference[], void> {
    const sources = this.#sourcesIn(slot, bounds)
    const expiring = this.#expiring(slot, bounds)
    if (sources.length + expiring.length === 0) return
    const [before] = this.#views
    const most = Math.max(...this.#views.map((view) => weight(view.sources, slot, bounds)))
    if (weight(sources, slot, bounds) * 2 > most && this.#sides !== undefined) {
      yield* this.#sideBySide(slot, bounds)
      return
    }
    const { cache } = before
    const found = await Promise.all(sources.map(async (source) => rangesIn(source, cache, slot, bounds)))
    const ranges = unionRanges(found.flat())
    const cursors = [...sources.map((source) => cursorOver(source, cache, slot, bounds)), ...expiring]
    const named = new MergeCursor(cursors.map((cursor) => ({ cursor, ranges: [] })))
    let at = 0
    let keys: Uint8Array[] = []
    do {
      const loading = named.next()
      if (loading) await loading
      const key = named.current?.key
      const isDue = key === undefined ? at < ranges.length : ranges[at] && compareBytes(ranges[at]!.lower, key) <= 0
      if (isDue || key === undefined || keys.length === this.#batch) {
        yield await this.#lookUp(slot, keys)
        keys = []
      }
      for (; isDue && ranges[at] && (!key || compareBytes(ranges[at]!.lower, key) <= 0); at++) {
        yield* this.#sideBySide(slot, ranges[at]!)
      }
      if (key && !isCovered(ranges, key)) keys.push(key)
    } while (named.current)
  }

  /** The sources that only one of the two states has, as far as they can matter here. */
  #sourcesIn(slot: Slot, bounds: KeyRange): Source[] {
    return this.#apart.flatMap((sources, i) => {
      const other = this.#sides?.[1 - i]
      return sources.flatMap((source): Source[] => {
        if (source instanceof Memtable) return source.slots.has(slot.id) ? [source] : []
        const run = source.filter(
          // Clipped in other ways it may still say the same in this partition.
          (segment) =>
            concerns(segment, slot, bounds) && !other?.get(segment.name)?.some((ref) => counts(ref, slot.partition)),
        )
        return run.length > 0 ? [run] : []
      })
    })
  }

  /** Records that expire between the two versions: they differ although both states have them. */
  #expiring(slot: Slot, bounds: KeyRange): Cursor[] {
    const span = this.#span
    if (span === undefined) return []
    const { sources, cache } = this.#views[0]
    return sources.flatMap((source) => {
      if (source instanceof Memtable && !source.slots.has(slot.id)) return []
      const isDue = ({ expires }: { readonly expires: number }): boolean => expires > 0 && expires <= span[1]
      const part = source instanceof Memtable ? source : source.filter((s) => isDue(s) && concerns(s, slot, bounds))
      if (!(part instanceof Memtable) && part.length === 0) return []
      return [
        new SiftingCursor(cursorOver(part, cache, slot, bounds), (record) =>
          this.#expires(record) ? record : undefined,
        ),
      ]
    })
  }

  async #lookUp(slot: Slot, keys: readonly Uint8Array[]): Promise<Difference[]> {
    const [before, after] = this.#views
    const found = await Promise.all(
      keys.map(async (key): Promise<Difference> => {
        const mapKey = bytesToMapKey(key.slice(slot.prefix.length))
        const views = [before, after] as const
        const [was, is] = await Promise.all(views.map(async (view) => lookUpLoading(view, slot, mapKey)))
        return { key, before: was, after: is }
      }),
    )
    return found.filter((difference) => this.#differs(difference))
  }

  async *#sideBySide(slot: Slot, bounds: KeyRange): AsyncGenerator<readonly Difference[], void> {
    const walk = { ...bounds, reverse: false }
    const [was, is] = await Promise.all([scan(this.#views[0], slot, walk), scan(this.#views[1], slot, walk)])
    await Promise.all([was.next(), is.next()])
    let batch: Difference[] = []
    for (let walked = 1; was.current || is.current; walked++) {
      const [a, b] = [was.current, is.current]
      const order = a === undefined ? 1 : b === undefined ? -1 : compareBytes(a.key, b.key)
      const difference = {
        key: (order <= 0 ? a : b)!.key,
        before: order <= 0 ? recordOf(a) : undefined,
        after: order >= 0 ? recordOf(b) : undefined,
      }
      if (this.#differs(difference)) batch.push(difference)
      if (batch.length === this.#batch || walked % STRIDE === 0) {
        yield batch
        batch = []
      }
      const moving = [order <= 0 ? was.next() : undefined, order >= 0 ? is.next() : undefined]
      // Both at once: one that failed while the other is waited for would fail unheard.
      if (moving[0] ?? moving[1]) await Promise.all(moving.filter((loading) => loading !== undefined))
    }
    if (batch.length > 0) yield batch
  }

  #differs({ before, after }: Difference): boolean {
    if (before?.bytes === undefined || after?.bytes === undefined) return before?.bytes !== after?.bytes
    return before.expires !== after.expires || !equalBytes(before.bytes, after.bytes) || this.#expires(before)
  }

  /** Whether a record expires between the two versions. */
  #expires({ expires }: Pick<KeyedRecord, 'expires'>): boolean {
    return this.#span !== undefined && expires > this.#span[0] && expires <= this.#span[1]
  }
}

/** The segments of a state by name; one that is clipped may be listed in several pieces. */
type Side = ReadonlyMap<string, readonly SegmentRef[]>

function sideOf(state: ShardState): Side {
  const refs = new Map<string, SegmentRef[]>()
  for (const ref of segmentsOf(state)) {
    const known = refs.get(ref.name)
    if (known) known.push(ref)
    else refs.set(ref.name, [ref])
  }
  return refs
}

function sourcesOf({ memtable, references }: TailEntry): Source[] {
  return [...(memtable ? [memtable] : []), ...(references?.runs ?? [])]
}

/** The sources that `one` stands on and `other` does not. */
function apart(one: ShardState, other: ShardState, segments: Side): Source[] {
  const sources: Source[] = []
  for (const { logId, tail, manifest } of statesOf(one)) {
    const same = statesOf(other).find((state) => equalBytes(state.logId, logId))
    const entries = new Map(same?.tail.map((entry) => [entry.n, entry]))
    for (const { n, memtable, references, bytes } of tail) {
      // Behind a pin's number stands all that is not in its manifest.
      if (memtable && entries.get(n)?.bytes !== bytes) sources.push(memtable)
      if (references) sources.push(...references.runs)
    }
    if (manifest !== same?.manifest) sources.push(...manifest.runs)
  }
  return sources.flatMap((source): Source[] => {
    if (source instanceof Memtable) return [source]
    const run = source.filter((ref) => !segments.get(ref.name)?.some((same) => sameClip(ref, same)))
    return run.length > 0 ? [run] : []
  })
}

function sameClip({ clip: a }: SegmentRef, { clip: b }: SegmentRef): boolean {
  return a === b || (a !== undefined && b !== undefined && a[0] === b[0] && a[1] === b[1])
}

function concerns(segment: SegmentRef, slot: Slot, bounds: KeyRange): boolean {
  return meets(segment, bounds) && counts(segment, slot.partition)
}

/** About how many records sources have there. */
function weight(sources: readonly Source[], slot: Slot, bounds: KeyRange): number {
  let records = 0
  for (const source of sources) {
    if (source instanceof Memtable) records += source.slots.get(slot.id)?.points.size ?? 0
    else for (const segment of source) if (concerns(segment, slot, bounds)) records += segment.records
  }
  return records
}

async function rangesIn(source: Source, cache: SegmentCache, slot: Slot, bounds: KeyRange): Promise<KeyRange[]> {
  const ranges = source instanceof Memtable ? source.ranges(slot) : await runRanges(cache, source, bounds)
  return ranges.flatMap((range) => intersection(range, bounds) ?? [])
}

function cursorOver(source: Source, cache: SegmentCache, slot: Slot, bounds: KeyRange): Cursor {
  if (source instanceof Memtable) return new ArrayCursor(source.sorted(slot, bounds))
  return new RunCursor(cache, source, { ...bounds, reverse: false })
}

function recordOf(keyed: KeyedRecord | undefined): AnyRecord | undefined {
  return keyed instanceof MemtableRecord ? keyed.point : keyed
}

/** `undefined` for what is deleted, or had expired by `time`. */
function liveAt(record: AnyRecord | undefined, time: number): AnyRecord | undefined {
  if (record?.bytes === undefined) return undefined
  return record.expires === 0 || record.expires > time ? record : undefined
}

/**
 * A difference as a program sees it, with each side as it was at its time; `undefined` when both have the same bytes. A side
 * is left out where the key is not there.
 */
export function changeOf(
  { key, before, after }: Difference,
  slot: Slot,
  times: readonly [before: number, after: number],
  decode: (bytes: Uint8Array) => unknown,
): { readonly key: Key; readonly before?: unknown; readonly after?: unknown } | undefined {
  const [was, is] = [liveAt(before, times[0]), liveAt(after, times[1])]
  if (was === undefined && is === undefined) return undefined
  if (was?.bytes && is?.bytes && equalBytes(was.bytes, is.bytes)) return undefined
  const value = (record: AnyRecord): unknown => (record instanceof Point ? record.value(decode) : decode(record.bytes!))
  return {
    key: decodeKey(key.subarray(slot.prefix.length)),
    ...(was && { before: value(was) }),
    ...(is && { after: value(is) }),
  }
}

export function intersection(a: KeyRange, b: KeyRange): KeyRange | undefined {
  const lower = compareBytes(a.lower, b.lower) < 0 ? b.lower : a.lower
  const upper = compareBytes(a.upper, b.upper) < 0 ? a.upper : b.upper
  return compareBytes(lower, upper) < 0 ? { lower, upper } : undefined
}
