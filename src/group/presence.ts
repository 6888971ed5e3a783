/**
 * One life of a member: its identity, its lease, and the neighbours that it watches. Whoever is out has lost all, and begins
 * another life as somebody else (G2): an identity is drawn for each and never used again (G3), as two that shared one, a
 * machine and its copy, would take their shards from each other for ever.
 */
import { toHex } from '../bytes/hex.js'
import { tell } from '../callback.js'
import { aborted, reasonOf, throwIfAborted, TidemarkError } from '../errors.js'
import { MEMBER_BYTES, removeLease, type LeasePlace } from './lease.js'
import { Neighbours } from './neighbours.js'
import { Renewal, type Loss, type RenewalOptions } from './renewal.js'
import { instant, since, type Instant } from './since.js'

/** Renews the lease of a member, until it is stopped or the member is out. */
export interface Renewer {
  /** Begins to renew; `stop` ends it. */
  start(options: RenewalOptions): { stop(): void }
}

export interface PresenceOptions extends LeasePlace {
  /** Renews beside the thread. Left out, a timer of the thread does it. */
  readonly renewer?: Renewer | undefined
  /** Ends the beginning with `ABORTED`. */
  readonly signal?: AbortSignal | undefined
  /** The member is out, and has lost all. `gone` has aborted before. */
  readonly lost: (reason: Loss) => unknown
  /** A watched member is dead, and its lease says so for ever: it is to be removed from the members. It is told again. */
  readonly dead: (member: string) => unknown
  /** No renewal was acknowledged for a whole lease: others may have buried this member. It may come back. */
  readonly silent: (cause: unknown) => unknown
  /** A request, or one of these calls, failed. */
  readonly failed: (cause: unknown) => unknown
}

const HERE: Renewer = { start: (options) => new Renewal(options).start() }

export class Presence {
  /** 32 hex digits. */
  readonly member: string
  readonly #options: PresenceOptions
  readonly #neighbours: Neighbours
  readonly #gone = new AbortController()
  #renewing: { stop(): void } | undefined
  #proof: Instant
  #cause: unknown
  #isSilent = false
  #cancel = (): void => undefined
  /** Of `begin`, until it is settled. */
  #begun = (): void => undefined
  #unbegun = (_error: unknown): void => undefined

  /**
   * Begins a life: resolves when its lease stands. Whoever never got an answer within a lease throws
   * `STORAGE_UNAVAILABLE`.
   */
  static async begin(options: PresenceOptions): Promise<Presence> {
    throwIfAborted(options.signal)
    const presence = new Presence(options)
    try {
      await presence.#begin()
    } catch (error) {
      await presence.leave()
      throw error
    }
    return presence
  }

  private constructor(options: PresenceOptions) {
    const { storage, store, leaseMs, clock } = options
    const failed = (cause: unknown): void => this.#fail(cause)
    this.member = toHex(clock.random(MEMBER_BYTES))
    this.#options = options
    this.#proof = instant(clock)
    const dead = (other: string): unknown => options.dead(other)
    this.#neighbours = new Neighbours({ storage, store, member: this.member, leaseMs, clock, dead, failed })
  }

  /** Aborts when the member is out. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** How long ago that was sent which last proved the lease, by the larger advance of both clocks. */
  awayMs(): number {
    return since(this.#options.clock, this.#proof)
  }

  /** Takes the members as they are now: it watches the next two of them. */
  watch(members: Iterable<string>): void {
    if (!this.gone.aborted) this.#neighbours.watch(members)
  }

  /** The member is out, by whoever knows it: the lease says so, or the members do without it. */
  lose(reason: Loss): void {
    if (this.gone.aborted) return
    this.stop()
    this.#unbegun(new TidemarkError('CONFLICT', `Somebody else wrote the lease of ${this.member} (${reason}).`))
    tell(
      () => this.#options.lost(reason),
      (cause) => this.#fail(cause),
    )
  }

  /** Ends this life without a word to the others, who will find it dead. */
  stop(): void {
    this.#gone.abort()
    this.#cancel()
    this.#renewing?.stop()
    this.#neighbours.stop()
  }

  /** Ends this life in good order, once it is no member any more. A lease that cannot be removed stays; nobody looks at it. */
  async leave(): Promise<void> {
    this.stop()
    await removeLease(this.#options, this.member).catch((cause: unknown) => this.#fail(cause))
  }

  async #begin(): Promise<void> {
    const { storage, store, leaseMs, clock, renewer = HERE, signal } = this.#options
    const abort = (): void => this.#unbegun(aborted(signal!))
    const begun = new Promise<void>((resolve, reject) => {
      this.#begun = resolve
      this.#unbegun = reject
    })
    signal?.addEventListener('abort', abort, { once: true })
    this.#await()
    this.#renewing = renewer.start({
      storage,
      store,
      member: this.member,
      leaseMs,
      clock,
      proved: (sent) => this.#proved(sent),
      lost: (reason) => this.lose(reason),
      failed: (cause) => this.#fail(cause),
    })
    await begun.finally(() => signal?.removeEventListener('abort', abort))
  }

  #proved(sent: Instant): void {
    if (this.gone.aborted) return
    this.#proof = sent
    this.#begun()
    this.#await()
    if (this.#isOverdue) return
    this.#cause = undefined
    this.#isSilent = false
  }

  /** A lease has passed without a proof. Both clocks count, and neither of them has to run. */
  get #isOverdue(): boolean {
    return this.awayMs() >= this.#options.leaseMs
  }

  /** Waits until it may be overdue. */
  #await(): void {
    const { clock, leaseMs } = this.#options
    const left = Math.max(0, Math.ceil(leaseMs - this.awayMs()))
    this.#cancel()
    this.#cancel = clock.timer(left, () => void this.#late(), { background: true })
  }

  async #late(): Promise<void> {
    // A thread that was blocked hears only now what a worker has told it meanwhile.
    await this.#options.clock.pause().catch((cause: unknown) => this.#fail(cause))
    if (this.gone.aborted) return
    if (this.#isOverdue) this.#fallSilent()
    else this.#await()
  }

  #fallSilent(): void {
    if (this.#isSilent) return
    this.#isSilent = true
    const { leaseMs, silent } = this.#options
    const because = this.#cause === undefined ? '' : ` (${reasonOf(this.#cause)})`
    const error = new TidemarkError('STORAGE_UNAVAILABLE', `No lease was renewed for ${leaseMs} ms${because}.`, {
      cause: this.#cause,
    })
    this.#unbegun(error)
    tell(
      () => silent(error),
      (cause) => this.#fail(cause),
    )
  }

  #fail(cause: unknown): void {
    this.#cause = cause
    tell(() => this.#options.failed(cause))
  }
}
