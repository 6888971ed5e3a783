/**
 * The reads of a handle in shared mode, and which of them others have changed since. A commit outside a transaction goes on
 * top of others' versions unless they have changed a key that it changes, and that this handle had read before: by itself, or in
 * a scan that found it (R18).
 */
import { mapKeyToKey, type MapKey } from '../bytes/keys.js'
import { show } from '../errors.js'
import { sameOffsets } from '../log/same-offsets.js'
import { lowestOffsets } from '../log/spans.js'
import { splitId } from '../manifest/codec-id.js'
import type { KeyRange } from '../segment/record.js'
import type { SegmentCache } from '../segment/cache.js'
import type { Memtable } from '../engine/memtable.js'
import { Point } from '../engine/point.js'
import { AT_ONCE, lookUp, Missing, viewOf } from '../engine/read.js'
import type { Slot } from '../engine/slot.js'
import { recordedCodec, type AppliedEntry, type ShardState } from '../engine/state.js'
import type { CommitKind } from '../engine/write/requests.js'
import { isApart, KeySet } from './key-set.js'
import type { ReadNotes } from './table-host.js'

/** Changes of others that no list of keys tells, and the state before them. */
interface Wide {
  /** Undefined: it is not known what they have changed. */
  readonly ranges: KeySet | undefined
  /** Undefined where there were too many to keep. */
  readonly before: ShardState | undefined
  /** The program knows by now what they made of these. */
  readonly known: KeySet
}

/** So many of them are kept apart. */
const WIDE = 64

/** The reads between one refresh and the next. */
interface ReadPhase {
  readonly reads: KeySet
  /** The keys among them that others have changed since, and the changes of others that are not told by key. */
  readonly stale: KeySet
  wide: Wide[]
  /** Whether they have changed the offsets. */
  areOffsetsStale: boolean
  /** Whether the program knows the offsets as they were before others change them: not while it catches up. */
  knowsOffsets: boolean
}

const newPhase = (knowsOffsets: boolean): ReadPhase => ({
  reads: new KeySet(),
  stale: new KeySet(),
  wide: [],
  areOffsetsStale: false,
  knowsOffsets,
})

/** A commit on its way, with what was read of what it changes when it was asked for. */
interface Guarded {
  readonly changes: Memtable
  readonly reads: KeySet
  /** What is in its way, as its error names it. */
  readonly found: string[]
}

export class ReadSet implements ReadNotes {
  /** The last one is for what is read now; those before it end with a refresh that is under way. */
  #phases: ReadPhase[] = [newPhase(true)]
  readonly #guarded = new Set<Guarded>()
  /** Reading a key that the program itself has put tells it nothing of others. */
  readonly #buffer: () => Memtable
  readonly #cache: () => SegmentCache

  constructor(buffer: () => Memtable, cache: () => SegmentCache) {
    this.#buffer = buffer
    this.#cache = cache
  }

  key(slot: Slot, key: MapKey): void {
    if (this.#buffer().find(slot, key)) return
    this.#phases.at(-1)!.reads.key(slot, key)
    this.#knows((known) => known.key(slot, key), slot, [key], [])
  }

  range(slot: Slot, range: KeyRange): void {
    this.#phases.at(-1)!.reads.range(slot, range)
    this.#knows((known) => known.range(slot, range), slot, [], [range])
  }

  /** The program knows what others have made of these. */
  #knows(note: (known: KeySet) => void, slot: Slot, keys: Iterable<MapKey>, ranges: readonly KeyRange[]): void {
    for (const { stale, wide } of this.#phases) {
      stale.drop(slot, keys, ranges)
      for (const { known } of wide) note(known)
    }
  }

  offsets(): void {
    for (const phase of this.#phases) {
      phase.areOffsetsStale = false
      phase.knowsOffsets = true
    }
  }

  /** Others have written versions, and led from the one state to the other; `undefined`: it is not known by which entries. */
  met(before: ShardState, after: ShardState, entries: readonly AppliedEntry[] | undefined): void {
    const areOffsets = !sameOffsets(lowestOffsets(before.carried), lowestOffsets(after.carried))
    const isKnown = entries?.every(({ references }) => references === undefined)
    const changes = isKnown ? entries!.flatMap(({ memtable }) => memtable ?? []) : [undefined]
    for (const memtable of changes) {
      for (const guarded of this.#guarded) this.#object(guarded, memtable, before)
      for (const phase of this.#phases) this.#mark(phase, memtable, before)
    }
    for (const phase of this.#phases) phase.areOffsetsStale ||= areOffsets && phase.knowsOffsets
  }

  /** Whether these reads have found the key in the state that they were of. */
  #wasRead(reads: KeySet, slot: Slot, key: MapKey, before: ShardState | undefined): boolean {
    if (reads.hasKey(slot, key)) return true
    return reads.covers(slot, key) && (before === undefined || existed(this.#cache(), before, slot, key))
  }

  #mark({ reads, stale, wide }: ReadPhase, memtable: Memtable | undefined, before: ShardState): void {
    if (reads.isEmpty) return
    const cut = new KeySet()
    for (const { slot, points, ranges } of memtable?.slots.values() ?? []) {
      if (!reads.slots.has(slot.id)) continue
      for (const key of points.keys()) if (this.#wasRead(reads, slot, key, before)) stale.key(slot, key)
      for (const range of ranges) cut.range(slot, range)
    }
    if (memtable && cut.isEmpty) return
    wide.push({ ranges: memtable && cut, before, known: new KeySet() })
    // What the program has read of them since counts no more, then.
    if (wide.length > WIDE) wide.splice(0, wide.length, { ranges: undefined, before: undefined, known: new KeySet() })
  }

  /** Takes note of what stands in the way of a commit on its way, of the changes that others have made just now. */
  #object({ changes, reads, found }: Guarded, memtable: Memtable | undefined, before: ShardState): void {
    for (const { slot, points, ranges } of changes.slots.values()) {
      if (!reads.slots.has(slot.id)) continue
      const theirs = memtable?.slots.get(slot.id)
      if (memtable && !theirs) continue
      const isTheirs = (key: MapKey): boolean => theirs === undefined || memtable!.find(slot, key) !== undefined
      for (const key of points.keys()) {
        if (isTheirs(key) && this.#wasRead(reads, slot, key, before)) found.push(nameOf(key))
      }
      if (ranges.length === 0) continue
      const read = theirs === undefined ? reads.within(slot, ranges) : [...theirs.points.keys()]
      for (const key of read) {
        const isOwn = theirs === undefined || changes.find(slot, key) !== undefined
        if (!points.has(key) && isOwn && this.#wasRead(reads, slot, key, before)) found.push(nameOf(key))
      }
      const cuts = theirs?.ranges ?? ranges
      for (const range of ranges) {
        const isCut = cuts.some((cut) => !isApart(cut, range))
        const isRead = isCut && (reads.overlaps(slot, range) || reads.within(slot, [range]).length > 0)
        if (isRead) found.push('keys in a range that it deletes')
      }
    }
  }

  /** What others have changed of what these change and the program has read. */
  #staleIn(changes: Memtable): string[] {
    const found: string[] = []
    for (const { reads, stale, wide } of this.#phases) {
      if (stale.isEmpty && wide.length === 0) continue
      for (const { slot, points, ranges } of changes.slots.values()) {
        for (const key of points.keys()) {
          const isStale =
            stale.hasKey(slot, key) ||
            wide.some(({ ranges: cut, before, known }) => {
              return (
                (cut?.covers(slot, key) ?? true) && !known.has(slot, key) && this.#wasRead(reads, slot, key, before)
              )
            })
          if (isStale) found.push(nameOf(key))
        }
        if (ranges.length === 0) continue
        found.push(...stale.within(slot, ranges).map(nameOf))
        for (const range of ranges) {
          const isRead = reads.overlaps(slot, range) || reads.within(slot, [range]).length > 0
          const isCut = wide.some(({ ranges: cut, known }) => {
            return (cut?.overlaps(slot, range) ?? true) && !known.overlaps(slot, range)
          })
          if (isRead && isCut) found.push('keys in a range that it deletes')
        }
      }
    }
    return found
  }

  /** Tells from now on until it is settled what stands in the way of a commit, see `CommitRequest.objection`. */
  objection(
    handle: { readonly others: number; readonly state: ShardState },
    changes: Memtable,
    kind: CommitKind,
    withOffsets: boolean,
    settled: Promise<unknown>,
  ): (isLate: boolean) => string | undefined {
    const { others } = handle
    const found = kind === 'buffer' ? this.#guard(changes, settled) : []
    return (isLate) => {
      const isAhead = handle.others !== others
      if (kind === 'transaction') return isAhead ? 'run the transaction again' : undefined
      if (withOffsets && (this.#areOffsetsStale || (isAhead && isLate))) {
        return 'a commit with offsets is not repeated on top of that'
      }
      if (found.length > 0) return `this commit changes ${listOf(found)}, read before others have changed that`
      return isAhead && !isWrittenAs(handle.state, changes)
        ? 'a table has another codec or a later version of its values now'
        : undefined
    }
  }

  /** Watches over a commit of the buffer: a read from here on was not made for it. */
  #guard(changes: Memtable, settled: Promise<unknown>): readonly string[] {
    const reads = new KeySet()
    for (const phase of this.#phases) {
      for (const { slot, points, ranges } of changes.slots.values()) {
        const own = phase.reads.slots.get(slot.id)
        if (own === undefined) continue
        for (const key of points.keys()) if (own.keys.has(key)) reads.key(slot, key)
        for (const key of phase.reads.within(slot, ranges)) reads.key(slot, key)
        for (const range of own.ranges) reads.range(slot, range)
      }
    }
    const guarded = { changes, reads, found: this.#staleIn(changes) }
    this.#guarded.add(guarded)
    const end = (): void => void this.#guarded.delete(guarded)
    settled.then(end, end)
    return guarded.found
  }

  /** Whether others have changed the offsets, and the program has not looked at them since. */
  get #areOffsetsStale(): boolean {
    return this.#phases.some(({ areOffsetsStale }) => areOffsetsStale)
  }

  /** The program was told that others have changed these. */
  told(changes: Memtable, ofOffsets: boolean): void {
    for (const { slot, points, ranges } of changes.slots.values()) {
      const note = (known: KeySet): void => {
        for (const key of points.keys()) known.key(slot, key)
        for (const range of ranges) known.range(slot, range)
      }
      this.#knows(note, slot, points.keys(), ranges)
    }
    if (ofOffsets) this.offsets()
  }

  /** While the program catches up: what it has read before does not count afterwards, what it reads meanwhile does. */
  async during<T>(catchUp: () => Promise<T>): Promise<T> {
    const before = [...this.#phases]
    const phase = newPhase(false)
    this.#phases.push(phase)
    try {
      const result = await catchUp()
      this.#phases = this.#phases.filter((each) => !before.includes(each))
      phase.knowsOffsets = true
      return result
    } catch (error) {
      const last = before.at(-1)!
      last.reads.add(phase.reads)
      last.stale.add(phase.stale)
      last.wide.push(...phase.wide)
      last.areOffsetsStale ||= phase.areOffsetsStale
      this.#phases = this.#phases.filter((each) => each !== phase)
      throw error
    } finally {
      if (this.#phases.length === 0) this.#phases.push(newPhase(true))
    }
  }

  clear(): void {
    this.#phases = [newPhase(true)]
  }
}

const nameOf = (key: MapKey): string => show(mapKeyToKey(key))

/** How many keys an error names. */
const NAMED = 5

function listOf(found: readonly string[]): string {
  const all = [...new Set(found)]
  const more = all.length - NAMED
  return more > 0 ? `${all.slice(0, NAMED).join(', ')} and ${more} more` : all.join(', ')
}

/** Whether the tables that a memtable changes are still written with its codecs. */
function isWrittenAs(state: ShardState, memtable: Memtable): boolean {
  for (const { slot, codec } of memtable.slots.values()) {
    const recorded = recordedCodec(state, slot.table)
    if (recorded === undefined || recorded === codec) continue
    const [own, other] = [splitId(codec), splitId(recorded)]
    if (own.codec !== other.codec || own.version < other.version) return false
  }
  return true
}

/** Whether a key was there in a state; true as well when that cannot be told in this very turn. */
function existed(cache: SegmentCache, state: ShardState, slot: Slot, key: MapKey): boolean {
  const found = lookUp(viewOf(state, [], cache), slot, key, false, AT_ONCE)
  if (found === undefined || found instanceof Missing) return found !== undefined
  return found instanceof Point ? !found.deleted : found.bytes !== undefined
}
