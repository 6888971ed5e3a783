/**
 * A member renews its lease: a swap every third of a lease, by a timer beside the handlers (G4). It remembers all that it
 * wrote: a lease that none of its renewals wrote means that it is out (G3). It never throws; whoever began it is told.
 */
import { equalBytes } from '../bytes/compare.js'
import { isTidemarkError } from '../errors.js'
import type { Anchor } from '../storage/contract.js'
import { decodeLease, encodeLease, leaseOf, newRandom, type LeasePlace } from './lease.js'
import { Loop } from './loop.js'
import { instant, type Instant } from './since.js'

/**
 * How a member ends without wanting to: somebody buried it, its lease is no longer there, somebody else writes it, or the
 * members do without it.
 */
export type Loss = 'buried' | 'gone' | 'foreign' | 'removed'

export interface RenewalOptions extends LeasePlace {
  /** 32 hex digits, drawn anew for each start. */
  readonly member: string
  /** The lease holds a renewal that was sent then. */
  readonly proved: (sent: Instant) => void
  /** The member is out, and has lost all. Nothing is renewed any more. */
  readonly lost: (reason: Loss) => void
  /** A request failed. It is repeated. */
  readonly failed: (cause: unknown) => void
}

/** A renewal that was sent. */
interface Sent {
  readonly bytes: Uint8Array
  readonly at: Instant
}

/** What a renewal knows. A copy of a machine has a copy of it. */
export interface RenewalState {
  /** What stands there by the last answer, as the anchor's token; `undefined` when that is not known. */
  place: { readonly token: string | undefined } | undefined
  /** The renewal that is known to stand there, and those sent after it, of which any may stand there by now. */
  sent: Sent[]
  counter: number
  /** One has stood there. */
  isBegun: boolean
}

/** More of unknown fate are not made: the newest is sent again. */
const MOST_SENT = 64
const AGAIN = 24

/** Of a member that has just been drawn: nothing stands there. */
export function newState(): RenewalState {
  return { place: { token: undefined }, sent: [], counter: 0, isBegun: false }
}

export class Renewal extends Loop<RenewalOptions> {
  readonly #anchor: Anchor
  readonly #state: RenewalState
  #proof: Instant | undefined
  /** What could not be read: the line may have damaged it, and so it is read once more. */
  #damaged: Uint8Array | undefined

  constructor(options: RenewalOptions, state = newState()) {
    super(options)
    this.#state = state
    this.#anchor = leaseOf(options, options.member)
  }

  protected async turn(): Promise<number> {
    return this.#pause(await this.#renew().catch((cause: unknown) => this.#fail(cause)))
  }

  /** Until the next renewal: a third of a lease from sending; less when one failed, for as long as the lease lasts (G4). */
  #pause(isFine: boolean): number {
    const { clock, leaseMs } = this.options
    const third = leaseMs / 3
    const age = this.#proof ? clock.monotonic() - this.#proof.monotonic : third
    if (age < third) return third - age
    if (isFine) return 0
    // One whose reply was lost may have landed: the lease may last for longer than is known.
    return age < 2 * leaseMs ? leaseMs / AGAIN : third
  }

  /** Whether a renewal was acknowledged. */
  async #renew(): Promise<boolean> {
    const state = this.#state
    if (state.place === undefined && !(await this.#look())) return false
    const { token } = state.place!
    const renewal = this.#next()
    const { signal } = this
    const answer = await this.#anchor.swap(token, renewal.bytes, 0, { signal })
    if (answer.outcome === 'committed') {
      this.#stands(renewal, answer.token)
      return true
    }
    // If one of unknown fate has landed, the next one is lost. To look first would take twice as long.
    if (answer.outcome === 'unknown') return this.#fail(answer.cause)
    state.place = undefined
    await this.#look()
    return false
  }

  #next(): Sent {
    const { clock, member, leaseMs } = this.options
    const { sent } = this.#state
    if (sent.length >= MOST_SENT) return sent.at(-1)!
    const counter = this.#state.counter++
    const at = instant(clock)
    const bytes = encodeLease({ member, counter, random: newRandom(clock), leaseMs, isDead: false })
    sent.push({ bytes, at })
    return { bytes, at }
  }

  /** Finds out what stands there, and whether this member may write over it. */
  async #look(): Promise<boolean> {
    const state = this.#state
    const { signal } = this
    const { bytes, token } = await this.#anchor.read({ signal })
    if (bytes === undefined) {
      if (state.isBegun) return this.#lose('gone')
      state.place = { token }
      return true
    }
    // A reply may be lost though its renewal has landed, so all of them count (G3).
    const own = state.sent.find((renewal) => equalBytes(renewal.bytes, bytes))
    if (own) {
      this.#stands(own, token)
      return true
    }
    const reason = this.#reasonFor(bytes)
    if (reason !== undefined) return this.#lose(reason)
    if (this.#damaged && equalBytes(this.#damaged, bytes)) {
      state.place = { token }
      return true
    }
    this.#damaged = bytes
    return false
  }

  /** What a lease that this member did not write says of it; `undefined` when it is damaged, and is to be written anew. */
  #reasonFor(bytes: Uint8Array): Loss | undefined {
    try {
      return decodeLease(bytes, `The lease of ${this.options.member}`).isDead ? 'buried' : 'foreign'
    } catch (error) {
      return isTidemarkError(error) && error.code === 'CORRUPT' ? undefined : 'foreign'
    }
  }

  /** This one stands there: none that was sent before it ever will again. */
  #stands(renewal: Sent, token: string | undefined): void {
    const state = this.#state
    state.isBegun = true
    state.place = token === undefined ? undefined : { token }
    state.sent.splice(
      0,
      state.sent.findIndex(({ bytes }) => bytes === renewal.bytes),
    )
    this.#damaged = undefined
    if (this.#proof && this.#proof.monotonic >= renewal.at.monotonic) return
    this.#proof = renewal.at
    if (!this.signal.aborted) this.options.proved(renewal.at)
  }

  #lose(reason: Loss): false {
    if (this.signal.aborted) return false
    this.stop()
    this.options.lost(reason)
    return false
  }

  #fail(cause: unknown): false {
    this.fail(cause)
    return false
  }
}
