/** What several writers of one store need beside what one needs. It is loaded before a store is opened in shared mode. */
import { sleep, type Clock } from '../../clock.js'
import { TidemarkError } from '../../errors.js'
import { Part } from '../../part.js'
import { segmentName } from '../../manifest/names.js'
import { noteTime, type Held, type LogContext, type ShardContext } from '../context.js'
import type { Maintenance } from '../gc/maintenance.js'
import type { Queue } from './commit-queue.js'
import type { CommitRequest, Job } from './requests.js'
import { mayBeTrimmed, type Moment } from '../rules.js'
import type { Shard } from '../shard.js'
import type { AppliedEntry, ShardState } from '../state.js'

export { catchUp } from '../open/catch-up.js'

/** Takes note of what others have written; `undefined`: of nobody knows what. */
export function noteOthers(
  { uploads }: ShardContext,
  { path }: LogContext,
  maintenance: Pick<Maintenance, 'note'>,
  entries: readonly AppliedEntry[] | undefined,
): void {
  if (entries === undefined) uploads.condemnAll()
  for (const applied of entries ?? []) {
    maintenance.note(applied)
    for (const { ids } of applied.collection ?? []) uploads.condemn(ids.map((id) => segmentName(path, id)))
  }
}

const readSet = new Part('long reads', () => import('../history/reading-pin.js'))

/** How often in a row a number may be lost before the commit fails. */
const TRIES = 64
/** The longest pause in between: in tries, and in milliseconds. */
const LONGEST_PAUSE = 64
const LONGEST_PAUSE_MS = 10_000
/** Entries in a row after which a writer gives way, and for how many tries: to read, to look at the anchor, and to write. */
const STREAK = 16
const TURN = 5

/** Keeps the writers of a store out of each other's way. */
export class Contention {
  readonly #ctx: ShardContext
  /** Numbers that were lost in a row; and how crowded it was lately, which is forgotten more slowly. */
  #losses = 0
  #crowd = 0
  /** Entries of this handle in a row, how long the last one took, and when that was. */
  #streak = { entries: 0, ms: 0, at: 0 }

  constructor(ctx: ShardContext) {
    this.#ctx = ctx
  }

  /**
   * Whether the next number was seen free so long ago that others may have taken and trimmed it since. Where the storage does
   * not look at the trim number when it creates an entry, that would come out only after the create.
   */
  hasSlept(free: Moment | undefined): boolean {
    return free !== undefined && this.#ctx.clock.monotonic() - free.local > this.#ctx.graceMs / 2
  }

  /** Who commits without a pause would for ever come before others, who have to read before each try. */
  async giveWay(): Promise<void> {
    const { clock } = this.#ctx
    const { entries, ms, at } = this.#streak
    if (clock.monotonic() - at > ms) this.#streak.entries = 0
    if (entries < STREAK) return
    this.#streak.entries = 0
    await sleep(clock, TURN * ms)
  }

  appended(tookMs: number): void {
    this.#losses = 0
    this.#crowd >>= 1
    this.#streak = { entries: this.#streak.entries + 1, ms: tookMs, at: this.#ctx.clock.monotonic() }
  }

  /** Waits before the next try, or throws when there were enough. */
  async lost(tookMs: number): Promise<void> {
    const { store, clock } = this.#ctx
    if (++this.#losses > TRIES) {
      this.#losses = 0
      throw new TidemarkError(
        'CONFLICT',
        `Store "${store}" is being written too fast: ${TRIES} times another writer came first. The changes are kept; try again.`,
      )
    }
    // The first time at once; those who meet again and again would otherwise go on meeting. Of fifty each should try once
    // in the time of fifty tries.
    const pause = Math.min(LONGEST_PAUSE_MS, tookMs * Math.min(LONGEST_PAUSE, 2 ** this.#crowd))
    if (this.#crowd++ > 0) await sleep(clock, random(clock) * pause)
  }
}

/** From 0 to 1. */
function random(clock: Clock): number {
  const [low, high] = clock.random(2)
  return (low! + 256 * high!) / 65_536
}

/**
 * Takes out of the queue what does not stand on top of what others have written. Of what goes back into the buffer that is
 * all from the first one on, as it comes before what is put there next; of offsets too, as each stands on those before.
 */
export function takeFallen(queue: Queue, isLate: boolean): readonly Job[] {
  let isBuffer = false
  let isOffsets = false
  return queue.takeOut(({ request }) => {
    if (request === undefined) return false
    const { isOwn, offsets } = request
    if (request.stands(isLate) && !(isBuffer && !isOwn) && !(isOffsets && offsets.size > 0)) return false
    isBuffer ||= !isOwn
    isOffsets ||= offsets.size > 0
    return true
  })
}

export function conflict(store: string, version: number, { isOwn, offsets }: CommitRequest): TidemarkError {
  const where = `Another writer has brought store "${store}" to version ${version}`
  if (isOwn) return new TidemarkError('CONFLICT', `${where}; run the transaction again.`)
  const why =
    offsets.size > 0
      ? 'a commit with offsets is not repeated on top of that'
      : 'this commit changes keys that were read before'
  return new TidemarkError(
    'CONFLICT',
    `${where}, and ${why}. Its changes are kept: read again, and commit() or discard() them.`,
  )
}

/**
 * Catches up, unless nothing was written since. That takes one request, as long as the head was seen so lately that the log
 * can't have been trimmed beyond it; only the storage's own clock can tell that where it is not on this very machine.
 */
export async function confirm(shard: Pick<Shard, 'context' | 'log' | 'state' | 'refresh'>): Promise<void> {
  const { context: ctx, log, state } = shard
  const { free } = log
  const { bytes, time } = await log.log.read(state.head + 1)
  noteTime(ctx, log, time)
  if (bytes === undefined && free !== undefined) {
    const now = { storage: time, local: ctx.clock.monotonic() }
    const isLocal = ctx.storage.capabilities.trim !== 'writer'
    if (isLocal ? now.local - free.local < ctx.graceMs / 2 : !mayBeTrimmed(free, now, ctx.graceMs, ctx.rules)) return
  }
  await shard.refresh()
}

/** A step of what is read through an open handle: who else collects has to know of it before a grace period is over. */
export function tellReading(ctx: ShardContext, shard: Pick<Shard, 'log' | 'state'>, own: Held): void {
  const { clock, graceMs } = ctx
  if (own.reading === undefined && clock.monotonic() - (own.keptAt?.local ?? 0) < graceMs / 4) return
  // Whoever may not write pins reads on without, and finds out later what was collected.
  readSet.use((part) => part.keep(ctx, shard, own)).catch(() => undefined)
}

/** What was read is collected, and was the newest that the handle knows: it looks, so that what is read next is there. */
export async function outdated(
  { mode, followMs, name }: { readonly mode: string; readonly followMs: number; readonly name: string },
  cause: unknown,
  look: () => Promise<void>,
): Promise<void> {
  if (mode === 'exclusive') return
  // The program has not asked for it: what it read before still counts as read.
  if (mode === 'shared' || followMs > 0) return look()
  throw new TidemarkError(
    'VERSION_EXPIRED',
    `What this follower last saw of store "${name}" is no longer kept. Call refresh(), and read again.`,
    { cause },
  )
}

/** A fence of another mode among the entries ends the right to write. */
export function assertShared(
  store: string,
  { carried }: ShardState,
  entries: readonly AppliedEntry[] | undefined,
): void {
  const isTaken = entries?.some(({ entry }) => entry.mode !== 'shared') ?? carried.mode !== 'shared'
  if (!isTaken) return
  throw new TidemarkError(
    'FENCED',
    `Store "${store}" was opened in exclusive mode by another writer, which ends writing it together. Call reopen() when that writer is gone.`,
  )
}
