/**
 * A member watches the next two of the ring of members, by id (G5), and buries those that no longer renew their leases.
 *
 * - It judges by its own looks alone: the same bytes at four looks, each a third of a lease after the answer before (G1). The
 *   times of clocks count for nothing, and those in leases neither; only how long a lease is the member itself says.
 * - It buries by a swap from the bytes that it saw to `dead`. Nobody removes a member before that swap is known to have been
 *   made (G2). Who slept between two looks begins again: the other may have slept as well, and wake up just now.
 */
import { equalBytes } from '../bytes/compare.js'
import { tell } from '../callback.js'
import type { Anchor } from '../storage/contract.js'
import { decodeLease, encodeLease, leaseOf, newRandom, type Lease, type LeasePlace } from './lease.js'
import { Loop } from './loop.js'
import { instant, since, type Instant } from './since.js'

export interface NeighboursOptions extends LeasePlace {
  /** Who watches. */
  readonly member: string
  /**
   * A member is dead, and its lease says so for ever. It is told again with each look, for as long as that member is among
   * the members: whoever removes it may fail.
   */
  readonly dead: (member: string) => unknown
  /** A request, or the call above, failed. It is repeated. */
  readonly failed: (cause: unknown) => void
}

const WATCHED = 2
const LOOKS = 4
const AGAIN = 24

/** The next members after this one, by id. */
export function nextOf(member: string, members: Iterable<string>): string[] {
  const others = [...new Set(members)].filter((other) => other !== member).sort()
  const after = others.filter((other) => other > member)
  return [...after, ...others.filter((other) => other < member)].slice(0, WATCHED)
}

export class Neighbours {
  readonly #options: NeighboursOptions
  readonly #watches = new Map<string, Watch>()

  constructor(options: NeighboursOptions) {
    this.#options = options
  }

  /** Takes the members as they are now. Who is no member itself watches nobody. */
  watch(members: Iterable<string>): void {
    const all = [...members]
    const next = all.includes(this.#options.member) ? nextOf(this.#options.member, all) : []
    for (const [member, watch] of this.#watches) {
      if (next.includes(member)) continue
      watch.stop()
      this.#watches.delete(member)
    }
    for (const member of next) {
      if (!this.#watches.has(member)) this.#watches.set(member, new Watch(this.#options, member).start())
    }
  }

  stop(): void {
    this.watch([])
  }
}

/** What was seen of a lease, and how often. */
interface Seen {
  readonly bytes: Uint8Array | undefined
  readonly looks: number
  /** When the last look was answered. */
  readonly at: Instant
}

/** Looks at one lease. */
class Watch extends Loop<NeighboursOptions> {
  readonly #member: string
  readonly #anchor: Anchor
  #seen: Seen | undefined
  /** That of the member watched, as it says. */
  #leaseMs: number

  constructor(options: NeighboursOptions, member: string) {
    super(options)
    this.#member = member
    this.#leaseMs = options.leaseMs
    this.#anchor = leaseOf(options, member)
  }

  protected turn(): Promise<number> {
    return this.#look().catch((cause: unknown) => this.#fail(cause))
  }

  /** Looks once, and answers how long it is until the next look. */
  async #look(): Promise<number> {
    const { clock } = this.options
    const { signal } = this
    const before = this.#seen
    const early = before && before.looks < LOOKS ? this.#third - (clock.monotonic() - before.at.monotonic) : 0
    if (early > 0) return Math.ceil(early)
    const { bytes, token } = await this.#anchor.read({ signal })
    if (signal.aborted) return 0
    const lease = this.#read(bytes)
    if (lease?.isDead) return this.#tellDead()
    const at = instant(clock)
    const isSame = before && isEqual(before.bytes, bytes) && since(clock, before.at) < 2 * this.#third
    this.#seen = { bytes, looks: isSame ? Math.min(before.looks + 1, LOOKS) : 1, at }
    return this.#seen.looks < LOOKS ? this.#third : this.#bury(token, lease)
  }

  /** Swaps the lease that was seen to `dead`. Whatever came of it, the next look shows it. */
  async #bury(token: string | undefined, lease: Lease | undefined): Promise<number> {
    const { clock, leaseMs } = this.options
    const { signal } = this
    const counter = lease?.counter ?? 0
    const member = this.#member
    const dead = { member, counter, random: newRandom(clock), leaseMs: lease?.leaseMs ?? leaseMs, isDead: true }
    const answer = await this.#anchor.swap(token, encodeLease(dead), 0, { signal })
    if (answer.outcome === 'committed') return this.#tellDead()
    if (answer.outcome === 'unknown') return this.#fail(answer.cause)
    return this.#leaseMs / AGAIN
  }

  #tellDead(): number {
    this.#seen = undefined
    const { dead, failed } = this.options
    if (!this.signal.aborted) tell(() => dead(this.#member), failed)
    return this.#third
  }

  /** The lease, when it can be read. */
  #read(bytes: Uint8Array | undefined): Lease | undefined {
    if (bytes === undefined) return undefined
    try {
      const lease = decodeLease(bytes, `The lease of ${this.#member}`)
      this.#leaseMs = lease.leaseMs
      return lease
    } catch {
      // Its member writes it anew, if it lives.
      return undefined
    }
  }

  get #third(): number {
    return this.#leaseMs / 3
  }

  #fail(cause: unknown): number {
    this.fail(cause)
    return this.#leaseMs / AGAIN
  }
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b)
}
