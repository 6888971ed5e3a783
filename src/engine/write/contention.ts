/** How several writers of one store stay out of each other's way. It is loaded before a store is opened in shared mode. */
import { sleep, type Clock } from '../../clock.js'
import { toHex } from '../../bytes/hex.js'
import { TidemarkError } from '../../errors.js'
import type { ShardContext } from '../context.js'
import type { Queue } from './commit-queue.js'
import type { CommitKind, Job } from './requests.js'
import type { Moment } from '../moment.js'

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
  /** Who has written meanwhile. */
  readonly #met = new Set<string>()
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
    if (this.#crowd === 0) this.#met.clear()
    this.#streak = { entries: this.#streak.entries + 1, ms: tookMs, at: this.#ctx.clock.monotonic() }
  }

  /** Waits before the next try, or throws when there were enough. `newest` has written the newest entry that is known. */
  async lost(tookMs: number, newest: Uint8Array | undefined): Promise<void> {
    const { store, clock } = this.#ctx
    if (newest) this.#met.add(toHex(newest))
    if (++this.#losses > TRIES) {
      this.#losses = 0
      throw new TidemarkError(
        'CONFLICT',
        `Store "${store}" is being written too fast: ${TRIES} times another writer came first. The changes are kept; try again.`,
      )
    }
    // The first time at once; those who meet again and again would otherwise go on meeting. Of fifty each should try once
    // in the time of fifty tries; but of two, who pauses for longer than the other one would never come first.
    const tries = Math.min(2 ** this.#crowd, 2 * this.#met.size, LONGEST_PAUSE)
    const pause = Math.min(LONGEST_PAUSE_MS, tookMs * tries)
    if (this.#crowd++ > 0) await sleep(clock, random(clock) * pause)
  }
}

/** From 0 to 1. */
function random(clock: Clock): number {
  const [low, high] = clock.random(2)
  return (low! + 256 * high!) / 65_536
}

/**
 * Takes out of the queue what does not stand on top of what others have written, and says why. Of what goes back into the buffer that is
 * all from the first one on, as it comes before what is put there next; of offsets too, as each stands on those before.
 */
export function takeFallen(queue: Queue, isLate: boolean): ReadonlyMap<Job, string> {
  const why = new Map<Job, string>()
  let isBuffer = false
  let isOffsets = false
  queue.takeOut((job) => {
    const { request } = job
    if (request === undefined) return false
    const { kind, offsets } = request
    const isBehind = (isBuffer && kind === 'buffer') || (isOffsets && offsets.size > 0)
    const reason = request.objection(isLate) ?? (isBehind ? 'a commit in front of this one fell' : undefined)
    if (reason === undefined) return false
    why.set(job, reason)
    isBuffer ||= kind === 'buffer'
    isOffsets ||= offsets.size > 0
    return true
  })
  return why
}

export function conflict(store: string, version: number, why: string, kind: CommitKind): TidemarkError {
  const kept = kind === 'buffer' ? ' Its changes are kept: read again, and commit() or discard() them.' : ''
  const message = `Another writer has brought store "${store}" to version ${version}: ${why}.${kept}`
  return new TidemarkError('CONFLICT', message)
}
