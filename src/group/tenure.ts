/**
 * The time in which a member owns a shard: from its fence until it lets go, or has lost it.
 *
 * - Who was away looks at the log before an event is begun, and before a commit (G10). Away is a third of a lease by the larger
 *   advance of both clocks, since that was sent which last proved that the log is his.
 * - The signal of handlers aborts when the shard is lost: by a fence, a burial, or a lease without answers.
 * - The last commit says that the shard is released (G9). A suspect says before its first event that it is tried out (G11).
 */
import { equalBytes } from '../bytes/compare.js'
import { sleep, type Clock } from '../clock.js'
import { isTidemarkError, TidemarkError } from '../errors.js'
import { closeLog, openLog, type LogContext } from '../engine/context.js'
import { Memtable } from '../engine/memtable.js'
import { decodeEntry } from '../log/entry.js'
import type { Position } from '../log/offsets.js'
import type { Turn } from '../log/shard-parts.js'
import { parseCommit } from '../store/changes.js'
import type { StoreHandle } from '../store/handle.js'
import { Store } from '../store/store.js'
import type { Turns } from '../stream/turns.js'
import { instant, since, type Instant } from './since.js'
import type { Taken } from './turn.js'

export interface TenureOptions {
  readonly clock: Clock
  readonly leaseMs: number
  /** How long ago that was sent which last proved the lease. */
  awayMs(): number
  /** The shard may have killed its last owner. */
  readonly isSuspect: boolean
}

/** Where an event is. */
export interface EventPlace {
  /** The partition of the store. */
  readonly partition: number
  readonly offset: Position
}

/** After a look that failed, the next one. */
const AGAIN = 24

export class Tenure implements Turns {
  readonly handle: StoreHandle
  readonly store: Store
  /** The number of the fence. It rises, whoever owns the shard. */
  readonly token: number
  /** Since when nothing has spoken against the shard. */
  since: Instant
  /** A commit has moved the positions since the fence. */
  hasCommitted = false
  /** The event at which the handler threw last, until it has got beyond that. */
  stuckAt: EventPlace | undefined
  /** An event is being handled. */
  isInHand = false
  /** The run that is under way, or the last one. */
  running: Promise<unknown> = Promise.resolve()
  readonly #options: TenureOptions
  readonly #turn: Turn
  readonly #lost = new AbortController()
  readonly #released = new AbortController()
  #resting = new AbortController()
  /** When that was sent which last proved that the log is this owner's. */
  #proof: Instant
  /** When the commit on its way was sent. */
  #sent: Instant
  #isTried = false
  /** The last entry, as it was found when somebody asked, and since when. */
  #last: { readonly n: number; readonly since: Instant } | undefined
  #isLooking = false
  /** Reads the log as others do: on files a writer reads nothing but its own. */
  #viewer: LogContext | undefined

  constructor(handle: StoreHandle, { turn, sent }: Taken, options: TenureOptions) {
    this.handle = handle
    this.store = new Store(handle, handle.spec('', handle.options.table))
    this.token = handle.state.head
    this.since = sent
    this.#options = options
    this.#turn = turn
    this.#proof = sent
    this.#sent = sent
    handle.events.on('fenced', ({ error }) => {
      // While it rests, its own seal may be what ends it.
      if (!this.resting.aborted) this.lose(error)
    })
  }

  /** Aborts when the shard is lost. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /** Aborts when it is to be let go. */
  get releasing(): AbortSignal {
    return this.#released.signal
  }

  /** Aborts when what runs is to end, though the shard stays. */
  get resting(): AbortSignal {
    return this.#resting.signal
  }

  /** Ends what runs; `false`: something may run again. */
  rest(isOn: boolean): void {
    if (isOn) return this.#resting.abort()
    this.#resting = new AbortController()
    if (this.handle.shard.hasEnded) this.lose(new TidemarkError('FENCED', 'The shard was taken over meanwhile.'))
  }

  /** The shard is lost, or may be. */
  lose(reason: unknown): void {
    this.#lost.abort(reason)
  }

  /** From here on nothing more is begun. */
  stop(): void {
    this.#released.abort()
  }

  /** The number of the last entry, if that has been the last one for so long by what was found when this was asked before. */
  quietAt(ms: number): number | undefined {
    const { clock } = this.#options
    const { head } = this.handle.state
    if (this.#last?.n !== head) this.#last = { n: head, since: instant(clock) }
    return since(clock, this.#last.since) > ms ? head : undefined
  }

  before(what: 'event' | 'commit'): Promise<void> | undefined {
    this.#assertHeld()
    const { clock, leaseMs } = this.#options
    const isAway = since(clock, this.#proof) > leaseMs / 3
    if (isAway || this.#isUnproved) return this.#look().then(() => this.before(what))
    if (what === 'commit') this.#sent = instant(clock)
    else if (this.#options.isSuspect && !this.#isTried) return this.#tryOut()
    return undefined
  }

  /** While an event is in hand nothing else tells that the shard was taken over: so it is looked at, as often as members look (G10). */
  async lookBeside(): Promise<void> {
    const { clock, leaseMs } = this.#options
    if (!this.isInHand || this.#isLooking || since(clock, this.#proof) <= leaseMs / 3) return
    this.#isLooking = true
    try {
      await this.#look()
    } finally {
      this.#isLooking = false
    }
  }

  turn(isLast: boolean): Turn | undefined {
    if (isLast && this.releasing.aborted) return { ...this.#turn, isReleased: true }
    return this.handle.state.carried.turn?.isTrial ? this.#turn : undefined
  }

  /** The handler is done with an event. */
  handled({ partition }: EventPlace): void {
    this.isInHand = false
    if (this.stuckAt?.partition === partition) this.stuckAt = undefined
  }

  /** The handler threw. Answers whether it had come any further since it threw before: other partitions may have, but not that one. */
  threw(at: EventPlace): boolean {
    const { stuckAt, hasCommitted } = this
    const isStuck = stuckAt?.partition === at.partition && stuckAt.offset === at.offset
    this.stuckAt = at
    this.hasCommitted = false
    this.since = instant(this.#options.clock)
    return hasCommitted && !isStuck
  }

  committed(): void {
    this.#proof = this.#sent
    this.hasCommitted = true
  }

  /** Says that the shard is free, unless the last commit has said it. */
  async release(): Promise<void> {
    if (this.handle.state.carried.turn?.isReleased) return
    await this.before('commit')
    await this.#say({ ...this.#turn, isReleased: true })
  }

  /** Lets go of what it holds. Nothing waits for a handler that never returns. */
  async close(): Promise<void> {
    if (this.#viewer) await closeLog(this.handle.shard.context, this.#viewer)
    await this.handle.close()
  }

  #assertHeld(): void {
    if (this.lost.aborted) throw this.lost.reason
  }

  /** No renewal of a whole lease is known: one has to come first, such as from a worker that this thread has kept waiting. */
  get #isUnproved(): boolean {
    return this.#options.awayMs() >= this.#options.leaseMs
  }

  /** An entry of its own that says whose turn it is. */
  async #say(turn: Turn): Promise<void> {
    await this.handle.changes.commit(new Memtable(), { ...parseCommit({}), turn }, 'own')
    this.#proof = this.#sent
  }

  async #tryOut(): Promise<void> {
    this.#sent = instant(this.#options.clock)
    await this.#say({ ...this.#turn, isTrial: true })
    this.#isTried = true
  }

  /** Looks whether anybody else has written; until that is known. */
  async #look(): Promise<void> {
    const { clock, leaseMs } = this.#options
    for (;;) {
      this.#assertHeld()
      if (this.#isUnproved) {
        await sleep(clock, leaseMs / AGAIN, this.lost)
        continue
      }
      try {
        const sent = instant(clock)
        if (await this.#isOwn()) {
          this.#proof = sent
          return
        }
        this.lose(new TidemarkError('FENCED', `Shard ${this.handle.options.folder} was taken over by another member.`))
      } catch (error) {
        if (!isTidemarkError(error) || !error.retryable) throw error
        await sleep(clock, leaseMs / AGAIN, this.lost)
      }
    }
  }

  /** Whether all that follows on what is known here was written by this very handle. */
  async #isOwn(): Promise<boolean> {
    const { context, log } = this.handle.shard
    this.#viewer ??= openLog(context, log.anchor, log.logId)
    for (let n = this.handle.state.head + 1; ; n++) {
      const { bytes } = await this.#viewer.log.read(n)
      if (bytes === undefined) return true
      if (!equalBytes(decodeEntry(bytes, n, log.logId).writerId, log.writerId)) return false
    }
  }
}
