/**
 * Collection: which versions are kept, what nothing kept needs any more, and its removal in two steps (R32, R33). An entry condemns: it says which versions are gone and lists the segments that go with them; a grace period
 * later, by the storage's clock, what it listed is deleted. Whoever appends after that entry has seen it and names nothing
 * of the list; whoever reads, or was making a pin, has had the grace period.
 */
import { toHex } from '../../bytes/hex.js'
import { TidemarkError, isFull, throwIfAborted } from '../../errors.js'
import { raiseAnchor } from '../../log/raise.js'
import { encodeCollection, type Collection } from '../../log/collection.js'
import { idOfBlob, segmentsPrefix } from '../../manifest/listed-names.js'
import { segmentName } from '../../manifest/names.js'
import type { CollectPlan } from '../entry-builder.js'
import { anchorName, currentTime, noteTime, type LogContext, type ShardContext } from '../context.js'
import type { EntryIndex, IndexedEntry } from './entry-index.js'
import { deadForks } from './fork-holds.js'
import { listBlobs, type BlobListing } from './listing.js'
import { collectionIn, eachHead, readEntry, type RepairedLog } from '../history/past.js'
import { isOver, type StoredPin } from '../history/pins.js'
import { isThinned } from '../history/thinned.js'
import { tidyMarks } from '../open/release.js'
import { takenHolds } from '../shards/taken.js'
import { retained } from './retention.js'
import { segmentsOf, type ShardState } from '../state.js'

export interface CollectOptions {
  /** Nothing is condemned for fewer entries than this, unless segments go with them. */
  readonly minDeletes: number
  /** The most objects that are deleted now. */
  readonly maxDeletes: number
  /** Whether to go on. */
  readonly inTime: () => boolean
  /** Only looks: nothing is written, nothing deleted. */
  readonly dryRun: boolean
}

/** The work that a collection did, and what it leaves to the next entry. */
export interface CollectResult {
  /** The objects that were deleted. */
  readonly deleted: {
    /** How many entries of the log. */
    readonly entries: number
    /** How many segments. */
    readonly segments: number
    /** How many pins: tags that have ended, thinned versions, and what nobody reads or forks any more. */
    readonly pins: number
    /** The bytes of the segments. */
    readonly bytes: number
  }
  /** The collection for the next entry; `undefined` when it has nothing to condemn. */
  readonly plan: CollectPlan | undefined
  /** How many entries and segments were condemned before and still wait. */
  readonly waiting: number
}

/** The most ids that one entry lists: 16 bytes each. */
const MAX_IDS = 4096

/** The store's own view of what is there. */
interface Listing extends BlobListing {
  /** Entries after it are being read. */
  readonly trim: number
}

/** Keeps versions that the log lets go of (thinning.ts). */
interface Thins {
  wanted(entries: readonly IndexedEntry[], pins: readonly StoredPin[], state: ShardState): ReadonlySet<number>
  keep(
    leaving: readonly number[],
    held: Set<string>,
    options: Pick<CollectOptions, 'inTime' | 'dryRun'>,
  ): Promise<number | undefined>
  forget(keeps: number): void
}

export class Collector {
  readonly #ctx: ShardContext
  readonly #log: LogContext
  readonly #known: EntryIndex
  #forksJudged = -Infinity
  readonly #signal: AbortSignal
  readonly #thinning: Thins

  /** `signal` ends a look that is under way. */
  constructor(shard: RepairedLog, known: EntryIndex, signal: AbortSignal, thinning: Thins) {
    this.#ctx = shard.context
    this.#log = shard.log
    this.#known = known
    this.#signal = signal
    this.#thinning = thinning
  }

  /** When the oldest of what entry `collectedAt` condemned is due. */
  async dueAt(collectedAt: number): Promise<number> {
    if (collectedAt === 0) return Infinity
    const { entries } = this.#known
    if (!entries.has(collectedAt)) this.#known.note(await readEntry(this.#ctx, this.#log, collectedAt))
    return (this.#collectionIn(collectedAt)[0]?.time ?? Infinity) + this.#ctx.graceMs
  }

  #collectionIn(n: number): Collection {
    return collectionIn(n, this.#known.entries.get(n)?.collection) ?? []
  }

  /** Deletes what is due and looks for what is to be condemned next. */
  async run(state: ShardState, options: CollectOptions): Promise<CollectResult> {
    const entries = await this.#indexedEntries(state)
    const listing = await this.#list()
    const now = currentTime(this.#ctx, this.#log)
    const pending = this.#collectionIn(state.carried.collectedAt)
    const due = pending.filter(({ time }) => time + this.#ctx.graceMs <= now)
    const undue = pending.filter((batch) => !due.includes(batch))
    const isLive = this.#liveNames(listing, state.carried.trim)
    // Only of writers beside each other there are many.
    if (this.#ctx.isShared && !options.dryRun) await tidyMarks(this.#ctx, this.#log, state)
    const wanted = this.#thinning.wanted(entries, listing.pins, state)
    const taken = options.dryRun ? NONE : await takenHolds(this.#ctx, listing.pins)
    const unwanted = (pin: StoredPin): boolean => taken.has(pin.blob) || (isThinned(pin) && !wanted.has(pin.version))
    const { isPartial, ...deleted } = await this.#deleteDue(state, due, listing, { isLive, unwanted }, now, options)
    const waiting = undue.reduce((sum, { ids }) => sum + ids.length, 0)
    // A repaired state stands on entries that the next fold makes dispensable, and no longer on the spare fold.
    if (isPartial || state.isRepaired) return { deleted, plan: undefined, waiting }
    // With what was appended meanwhile: it may name what was still an upload when it was listed.
    const planned = (until?: number): CollectPlan | undefined =>
      this.#plan(state, entries, listing, undue, now, options, until)
    let plan = planned()
    this.#thinning.forget(state.carried.keeps)
    const { keeps = 0 } = plan ?? {}
    const leaving = entries.filter(({ n }) => n >= state.carried.keeps && n < keeps && wanted.has(n))
    if (leaving.length > 0) {
      const until = await this.#thinning.keep(
        leaving.map(({ n }) => n),
        listing.held,
        options,
      )
      plan = until === undefined ? undefined : planned(until)
    }
    return { deleted, plan, waiting }
  }

  /** Names that entries after `trim`, those that came meanwhile among them, pins or open snapshots reach. */
  #liveNames({ held }: Listing, trim: number): (name: string) => boolean {
    return (name) => (this.#known.namedAt.get(name) ?? 0) > trim || held.has(name)
  }

  async #indexedEntries(state: ShardState): Promise<IndexedEntry[]> {
    const { trim } = state.carried
    const { entries } = this.#known
    this.#known.forget(trim)
    const numbers = Array.from({ length: state.head - trim }, (_, i) => trim + 1 + i)
    const missing = numbers.filter((n) => !entries.has(n))
    for await (const applied of eachHead(this.#ctx, this.#log, missing[0] ?? 1, missing.at(-1) ?? 0)) {
      throwIfAborted(this.#signal)
      this.#known.note(applied)
    }
    return numbers.map((n) => entries.get(n)!)
  }

  /** With what this handle reads right now. */
  async #list(): Promise<Listing> {
    const { held, ...listed } = await listBlobs(this.#ctx, this.#log)
    // A reading that nobody has gone on with for so long was forgotten, or may expire (R40).
    const used = this.#ctx.clock.monotonic() - this.#ctx.graceMs
    let trim = Infinity
    for (const reading of this.#ctx.held) {
      if (reading.usedAt <= used) {
        this.#ctx.held.delete(reading)
        continue
      }
      for (const { name } of segmentsOf(reading.state)) held.add(name)
      trim = Math.min(trim, reading.trim)
    }
    return { ...listed, held, trim }
  }

  async #deleteDue(
    { carried }: ShardState,
    due: Collection,
    { segments, pins, trim: most }: Listing,
    { isLive, unwanted }: { isLive: (name: string) => boolean; unwanted: (pin: StoredPin) => boolean },
    now: number,
    { maxDeletes, inTime, dryRun }: CollectOptions,
  ): Promise<CollectResult['deleted'] & { readonly isPartial: boolean }> {
    const { storage } = this.#ctx
    const { log } = this.#log
    const trim = Math.min(
      most,
      due.reduce((to, batch) => Math.max(to, batch.trim), 0),
    )
    const names = new Set(due.flatMap(({ ids }) => ids.map((id) => segmentName(this.#log.path, id))))
    const segmentsDue = [...names].filter((name) => segments.has(name) && !isLive(name))
    const gone = dryRun ? new Set() : await this.#deadForks(pins, now)
    const over = pins.filter((pin) => isOver(pin, now) || gone.has(pin.blob) || unwanted(pin)).map(({ blob }) => blob)
    let numbers = trim === 0 ? [] : (await log.list(1)).numbers.filter((n) => n <= trim)
    const blobs = [...over, ...segmentsDue]
    const deleted = { entries: 0, segments: 0, pins: 0, bytes: 0 }
    if (blobs.length + numbers.length === 0) return { ...deleted, isPartial: false }
    if (dryRun) {
      const bytes = segmentsDue.reduce((sum, name) => sum + segments.get(name)!, 0)
      return { entries: numbers.length, segments: segmentsDue.length, pins: over.length, bytes, isPartial: false }
    }
    // No power loss may take back the entry that condemned what is deleted now (R52).
    if (this.#ctx.durability === 'relaxed') await log.sync()
    // Where there is no room even for that, segments go first, which no version that is kept needs, and entries when there is.
    let isRaised = numbers.length === 0 || (await this.#raiseTrim(trim, carried))
    let left = maxDeletes
    for (let i = 0; i < blobs.length && left > 0 && inTime(); i += PAGE) {
      const page = blobs.slice(i, i + Math.min(PAGE, left))
      noteTime(this.#ctx, this.#log, (await storage.blobs.delete(page)).time)
      left -= page.length
      for (const name of page) {
        const size = segments.get(name)
        if (size === undefined) deleted.pins++
        else {
          deleted.segments++
          deleted.bytes += size
        }
      }
    }
    isRaised ||= blobs.length > 0 && (await this.#raiseTrim(trim, carried))
    if (!isRaised) numbers = []
    for (let i = 0; i < numbers.length && left > 0 && inTime(); i += PAGE) {
      const page = numbers.slice(i, i + Math.min(PAGE, left))
      await log.remove(page)
      left -= page.length
      deleted.entries += page.length
    }
    const count = deleted.entries + deleted.segments + deleted.pins
    this.#ctx.counters.collected += count
    if (count > 0) this.#ctx.emit('collected', { deleted: count })
    return { ...deleted, isPartial: count < blobs.length + numbers.length }
  }

  /** Judged once in a grace period: it takes reading their logs. */
  async #deadForks(pins: readonly StoredPin[], now: number): Promise<ReadonlySet<string>> {
    if (now - this.#forksJudged < this.#ctx.graceMs) return new Set()
    const dead = await deadForks(this.#ctx, this.#log, pins, now)
    this.#forksJudged = now
    return dead
  }

  /**
   * Nothing is removed before the anchor is known to say so (R30). Its hint goes along: whoever made the newest manifest may never
   * have got to write it there, and openers must not begin at entries that are about to go.
   */
  async #raiseTrim(trim: number, { manifestAt, covers, time }: ShardState['carried']): Promise<boolean> {
    const { logId, anchor } = this.#log
    const wanted = { logId, trim, manifestAt, covers, time }
    try {
      const known = await raiseAnchor(anchor, anchorName(this.#ctx), wanted)
      if (known && known.trim >= trim) return true
    } catch (error) {
      if (!isFull(error)) throw error
      return false
    }
    throw new TidemarkError(
      'STORAGE_UNAVAILABLE',
      `The anchor of store "${this.#ctx.store}" could not be raised; nothing was collected, and it is tried again later.`,
    )
  }

  #plan(
    state: ShardState,
    entries: readonly IndexedEntry[],
    listing: Listing,
    pending: Collection,
    now: number,
    { minDeletes }: CollectOptions,
    until: number | undefined,
  ): CollectPlan | undefined {
    const { keeps, trim: wanted } = retained(entries, this.#ctx.retain, now, state.carried, until)
    const trim = Math.max(state.carried.trim, Math.min(wanted, listing.trim))
    const isLive = this.#liveNames(listing, trim)
    const listed = new Set(pending.flatMap(({ ids }) => ids.map(toHex)))
    const prefix = segmentsPrefix(this.#log.path)
    const ids: Uint8Array[] = []
    for (const name of listing.segments.keys()) {
      if (listed.size + ids.length >= MAX_IDS) break
      if (isLive(name) || this.#ctx.uploads.has(name)) continue
      const id = idOfBlob(prefix, name)!
      if (!listed.has(toHex(id))) ids.push(id)
    }
    if (ids.length === 0 && trim - state.carried.trim < Math.max(1, minDeletes)) return undefined
    const encode = (time: number, to: number): Uint8Array => encodeCollection([...pending, { time, trim: to, ids }])
    return { resetAt: state.resetAt, keeps, trim, ids, encode }
  }
}

const PAGE = 1000
const NONE: ReadonlySet<string> = new Set()
