/**
 * Collection of a log that was sealed, by anyone. It is done by swaps of its anchor, which stays (S6, S7, S8): first all of its versions
 * expire, once each log that came of it alone has what `retain` asks for; later what is free is condemned; a grace period after that it
 * is deleted. A swap counts only if nobody else has swapped since the anchor was read.
 */
import { throwIfAborted } from '../../errors.js'
import type { Batch } from '../../log/collection.js'
import type { SealedEnd } from '../../log/sealed-anchor.js'
import { closedPrefix, idOfBlob, segmentsPrefix } from '../../manifest/listed-names.js'
import { segmentName } from '../../manifest/names.js'
import { pagesOf } from '../../storage/pages.js'
import { currentTime, noteTime, type LogContext, type ShardContext } from '../context.js'
import type { CollectOptions } from '../gc/collector.js'
import { deadForks } from '../gc/fork-holds.js'
import { Thinning } from '../gc/thinning.js'
import { isOver, type StoredPin } from '../history/pins.js'
import { isThinned } from '../history/thinned.js'
import { readHistory } from '../open/recovery.js'
import type { Range } from './end.js'
import { listBlobs, type BlobListing } from '../gc/listing.js'
import { HOUR } from '../gc/retention.js'
import { hasEnough, wantedOf } from './expiring.js'
import { keptEntries, type Dated } from './offspring.js'
import { needsOf, type FindSuccessors, type Needs } from './needs.js'
import { sealedAnchor, swapSealed, type SealedAnchor } from './sealed.js'
import { takenHolds } from './taken.js'

/** What was done, and what waits. */
export interface Undertaken {
  readonly deleted: { entries: number; segments: number; pins: number; bytes: number }
  readonly condemned: { entries: number; segments: number }
  waiting: number
  /** Nothing of the log is left but its anchor. */
  isGone: boolean
}

/** The most ids that one batch lists, and the most blobs that one call deletes. */
const MAX_IDS = 4096
const PAGE = 1000

const NOTHING: ReadonlySet<string> = new Set()

export class Undertaker {
  readonly #ctx: ShardContext
  readonly #log: LogContext
  readonly #range: Range
  readonly #successors: FindSuccessors
  readonly #signal: AbortSignal
  #thinning: Thinning | undefined
  #mine: ReadonlySet<string> = NOTHING
  /** When its pins were last judged: thinned versions are for hours and days. */
  #judgedAt = -Infinity

  /** `ctx` is that of the shard of the log, `range` its partitions. */
  constructor(ctx: ShardContext, log: LogContext, range: Range, successors: FindSuccessors, signal: AbortSignal) {
    this.#ctx = ctx
    this.#log = log
    this.#range = range
    this.#successors = successors
    this.#signal = signal
  }

  /** Goes as far as it can now. `mine` are segments that the shard which collects reads itself. */
  async run(options: CollectOptions, mine: ReadonlySet<string> = NOTHING): Promise<Undertaken> {
    this.#mine = mine
    const done: Undertaken = {
      deleted: { entries: 0, segments: 0, pins: 0, bytes: 0 },
      condemned: { entries: 0, segments: 0 },
      waiting: 0,
      isGone: false,
    }
    while (options.inTime() && (await this.#step(done, options))) throwIfAborted(this.#signal)
    return done
  }

  /** One swap at most; whether there may be more to do. */
  async #step(done: Undertaken, options: CollectOptions): Promise<boolean> {
    const sealed = await sealedAnchor(this.#ctx, this.#log, options.dryRun)
    if (sealed === undefined) return false
    const { end } = sealed
    const grace = Math.max(this.#ctx.graceMs, end.seal.graceMs)
    const now = currentTime(this.#ctx, this.#log)
    const due = end.collection.filter(({ time }) => time + grace <= now)
    done.waiting = end.collection.reduce((sum, batch) => sum + (due.includes(batch) ? 0 : batch.ids.length), 0)
    // Holds are among the pins: they are listed before any log is read (S9).
    const listing = await listBlobs(this.#ctx, this.#log)
    if (due.length > 0) return this.#delete(sealed, due, listing, done, options)
    return this.#condemn(sealed, listing, done, options)
  }

  /** Deletes what was condemned a grace period ago, but for what a pin holds that came meanwhile (S8). */
  async #delete(
    sealed: SealedAnchor,
    due: readonly Batch[],
    { segments, held }: BlobListing,
    { deleted }: Undertaken,
    { maxDeletes, inTime, dryRun }: CollectOptions,
  ): Promise<boolean> {
    const { end } = sealed
    const { blobs } = this.#ctx.storage
    const { log, path } = this.#log
    const ids = due.flatMap((batch) => batch.ids)
    const names = new Set(ids.map((id) => segmentName(path, id)))
    const free = [...names].filter((name) => segments.has(name) && !held.has(name))
    const isWhole = due.some(({ trim }) => trim >= end.n)
    const entries = isWhole ? (await log.list(1)).numbers.length : 0
    let left = maxDeletes - deleted.segments - deleted.entries - deleted.pins
    const before = { ...deleted }
    const took = (page: readonly string[]): void => {
      left -= page.length
      deleted.segments += page.length
      for (const name of page) deleted.bytes += segments.get(name)!
    }
    for (let i = 0; i < free.length; i += PAGE) {
      const page = free.slice(i, i + Math.min(PAGE, Math.max(0, left)))
      if (page.length === 0 || !inTime()) return false
      if (!dryRun) noteTime(this.#ctx, this.#log, (await blobs.delete(page)).time)
      took(page)
      if (page.length < Math.min(PAGE, free.length - i)) return false
    }
    if (entries > left) return false
    if (isWhole && !dryRun) {
      // The anchor has said that all of it is trimmed (R30).
      await log.destroy()
      await this.#removeMarks()
    }
    deleted.entries += entries
    if (dryRun) return false
    const count = deleted.segments + deleted.entries - before.segments - before.entries
    this.#ctx.counters.collected += count
    if (count > 0) this.#ctx.emit('collected', { deleted: count })
    return swapSealed(this.#log, sealed, { ...end, collection: end.collection.filter((batch) => !due.includes(batch)) })
  }

  /** The marks of those who have closed the log: nobody asks for them any more. */
  async #removeMarks(): Promise<void> {
    const { blobs } = this.#ctx.storage
    for await (const { items } of pagesOf(blobs, closedPrefix(this.#log.path))) {
      if (items.length > 0) await blobs.delete(items.map(({ name }) => name))
    }
  }

  /** Lets the versions expire, or condemns what is free; whether that was swapped. */
  async #condemn(
    sealed: SealedAnchor,
    listing: BlobListing,
    done: Undertaken,
    options: CollectOptions,
  ): Promise<boolean> {
    const ctx = this.#ctx
    const log = this.#log
    const { value, end } = sealed
    const over = { ...this.#range, logId: log.logId, n: end.n, seal: end.seal }
    const { segments, pins, held } = listing
    const isExpired = end.keeps > end.n
    if (isExpired && segments.size + pins.length + end.collection.length === 0) {
      done.isGone = (await log.log.list(1, { limit: 1 })).numbers.length === 0
      if (done.isGone) return false
    }
    if (isExpired && (await this.#isIdle(end, listing))) return false
    const taken = await takenHolds(ctx, pins)
    const needs = await needsOf(ctx, segmentsPrefix(log.path), over, this.#successors)
    const now = currentTime(ctx, log)
    const kept = isExpired ? undefined : await keptEntries(log, value.trim, segmentsPrefix(log.path))
    if (!isExpired && kept?.head !== end.n) return false
    const versions = kept?.versions.filter(({ n }) => n >= end.keeps) ?? []
    const wanted = needs && this.#wanted(versions, pins, needs)
    const gone = await this.#over(pins, taken, wanted, now)
    if (gone.length > 0 && !options.dryRun) await ctx.storage.blobs.delete(gone)
    done.deleted.pins += gone.length
    // What they held is free the next time (R37).
    const hasChanged = gone.length > 0 && !options.dryRun
    if (needs === undefined) return false
    this.#judgedAt = now
    if (kept && needs.living.every((log) => hasEnough(log, ctx.retain, now))) {
      const leaving = versions.flatMap(({ n }) => (wanted!.has(n) ? n : []))
      if (!options.dryRun) return (await this.#thin(sealed, leaving, options)) && this.#expire(sealed)
    }
    const plan = this.#plan(
      sealed,
      listing,
      (name) => needs.names.has(name) || held.has(name) || kept?.names.has(name) === true,
    )
    const entries =
      value.trim >= end.n && !end.collection.some(({ trim }) => trim >= end.n) ? await this.#countEntries() : 0
    if (plan.length === 0 && entries < 1) return hasChanged
    done.condemned.segments += plan.length
    done.condemned.entries += entries
    done.waiting += plan.length
    if (options.dryRun) return false
    // After all of that was looked at: what came later has seen that the versions have expired, or holds them (S8).
    const time = Math.max(now, end.collection.at(-1)?.time ?? 0)
    const batch = { time, trim: value.trim, ids: plan }
    return swapSealed(log, sealed, { ...end, collection: [...end.collection, batch] })
  }

  /** Whether nothing could be condemned, as who collects needs all that is left: then no log has to be read for it. */
  async #isIdle({ n, collection }: SealedEnd, { segments, pins, held }: BlobListing): Promise<boolean> {
    const isFresh = currentTime(this.#ctx, this.#log) - this.#judgedAt < HOUR
    if (!pins.every(({ kind }) => kind === 'tag' && isFresh)) return false
    const known = this.#namesIn(collection)
    if ([...segments.keys()].some((name) => !known.has(name) && !this.#mine.has(name) && !held.has(name))) return false
    return collection.some(({ trim }) => trim >= n) || (await this.#countEntries()) === 0
  }

  #namesIn(collection: readonly Batch[]): Set<string> {
    return new Set(collection.flatMap(({ ids }) => ids.map((id) => segmentName(this.#log.path, id))))
  }

  async #countEntries(): Promise<number> {
    return (await this.#log.log.list(1)).numbers.length
  }

  #wanted(versions: readonly Dated[], pins: readonly StoredPin[], { living }: Needs): ReadonlySet<number> {
    const thinned = pins.filter(isThinned).map(({ version, versionTime }) => ({ n: version, time: versionTime }))
    return wantedOf([...thinned, ...versions], living, this.#ctx.retain)
  }

  /** The pins that nobody needs any more. */
  async #over(
    pins: readonly StoredPin[],
    taken: ReadonlySet<string>,
    wanted: ReadonlySet<number> | undefined,
    now: number,
  ): Promise<string[]> {
    const dead = await deadForks(this.#ctx, this.#log, pins, now)
    const isUnwanted = (pin: StoredPin): boolean => wanted !== undefined && isThinned(pin) && !wanted.has(pin.version)
    return pins
      .filter((pin) => isOver(pin, now) || taken.has(pin.blob) || dead.has(pin.blob) || isUnwanted(pin))
      .map(({ blob }) => blob)
  }

  /** Pins versions that stay thinned; whether all of them are pinned. */
  async #thin({ value }: SealedAnchor, leaving: readonly number[], options: CollectOptions): Promise<boolean> {
    if (leaving.length === 0) return true
    const state = await readHistory(this.#ctx, this.#log, value, false)
    if (state === undefined) return false
    const shard = { context: this.#ctx, log: this.#log, state, detector: { repairer: { loaded: undefined } } }
    // It remembers what it has pinned.
    this.#thinning ??= new Thinning(shard, this.#signal)
    return (await this.#thinning.keep(leaving, new Set(), options)) === Infinity
  }

  /** No version is kept, and no entry: from here on nobody begins to read or to pin one (S8, S9). */
  #expire(sealed: SealedAnchor): Promise<boolean> {
    const { end } = sealed
    return swapSealed(this.#log, sealed, { ...end, keeps: end.n + 1 }, end.n)
  }

  /** The ids of segments that are free and not condemned yet. */
  #plan({ end }: SealedAnchor, { segments }: BlobListing, isNeeded: (name: string) => boolean): Uint8Array[] {
    const { path } = this.#log
    const prefix = segmentsPrefix(path)
    const listed = this.#namesIn(end.collection)
    const free = [...segments.keys()].filter(
      (name) => !isNeeded(name) && !listed.has(name) && !this.#ctx.uploads.has(name),
    )
    return free.slice(0, Math.max(0, MAX_IDS - listed.size)).map((name) => idOfBlob(prefix, name)!)
  }
}
