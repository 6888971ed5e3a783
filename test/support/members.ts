/** Members of a group in virtual time: leases and neighbours over a line that the test can break. */
import type { Storage } from 'tidemark'
import { faulty, simulate, type Actor, type Fault, type Point, type Simulation } from 'tidemark/testing'
import { toHex } from '../../src/bytes/hex.js'
import { sleep } from '../../src/clock.js'
import { decodeLease, encodeLease, leasePath, type Lease } from '../../src/group/lease.js'
import { Neighbours } from '../../src/group/neighbours.js'
import { Renewal, type RenewalState } from '../../src/group/renewal.js'
import type { Instant } from '../../src/group/since.js'

export { Presence } from '../../src/group/presence.js'

export const STORE = 's'
export const LEASE = 9_000
export const THIRD = LEASE / 3
/** One way of a call takes 1 to 20 ms. */
export const WAY = 20

/** Ids of members that are easy to tell apart, in their order. */
export const idOf = (n: number): string => toHex(new Uint8Array(16).fill(n))

/** Virtual time, in which nothing is slow but what the test makes slow. */
export const inTime = async <T>(run: (sim: Simulation) => Promise<T>): Promise<T> =>
  (await simulate({ seed: 1, slow: { chance: 0, ms: 0 } }, run)).value

/** The same actor with clocks of its own: that of the day can be moved, as others set it. */
export function withJumps(me: Actor): { readonly me: Actor; readonly jump: (ms: number) => void } {
  let jumped = 0
  const clock = { ...me.clock, now: () => me.clock.now() + jumped }
  return { me: { ...me, clock }, jump: (ms) => void (jumped += ms) }
}

/** The lease that stands in the storage. */
export async function leaseIn(storage: Storage, member: string): Promise<Lease | undefined> {
  const { bytes } = await storage.anchor(leasePath(STORE, member)).read()
  return bytes && decodeLease(bytes, 'it')
}

/** Writes over the lease whatever is there, as somebody else. */
export async function overwrite(storage: Storage, member: string, given: Partial<Lease> | Uint8Array): Promise<void> {
  const anchor = storage.anchor(leasePath(STORE, member))
  const { token } = await anchor.read()
  const lease = { member, counter: 0, random: new Uint8Array(16).fill(7), leaseMs: LEASE, isDead: false }
  await anchor.swap(token, given instanceof Uint8Array ? given : encodeLease({ ...lease, ...given }), 0)
}

/** What was told of a member, and the requests that were sent for it. */
export interface Told {
  readonly proofs: Instant[]
  readonly lost: string[]
  readonly dead: { readonly member: string; readonly at: number }[]
  readonly failed: unknown[]
  readonly sent: { readonly method: string; readonly path: string; readonly at: number }[]
}

export class Member {
  readonly told: Told = { proofs: [], lost: [], dead: [], failed: [], sent: [] }
  /** Decides about each request of it. */
  fault: (point: Point) => Fault | undefined = () => undefined
  readonly #options

  constructor(
    readonly me: Actor,
    storage: Storage,
    readonly id: string,
    leaseMs = LEASE,
  ) {
    const { clock } = me
    const line = faulty(me.storage(storage), (point) => {
      const { method, path } = point
      this.told.sent.push({ method, path, at: clock.monotonic() })
      return this.fault(point)
    })
    const { proofs, lost, dead, failed } = this.told
    this.#options = {
      storage: line,
      store: STORE,
      member: id,
      leaseMs,
      clock,
      proved: (sent: Instant) => void proofs.push(sent),
      lost: (reason: string) => void lost.push(reason),
      dead: (member: string) => void dead.push({ member, at: clock.monotonic() }),
      failed: (cause: unknown) => void failed.push(cause),
    }
  }

  /** A copy of a machine begins with a copy of what it knew. */
  renew(state?: RenewalState): Renewal {
    return new Renewal(this.#options, state).start()
  }

  watch(...members: string[]): Neighbours {
    const neighbours = new Neighbours(this.#options)
    neighbours.watch(members)
    return neighbours
  }

  pass(ms: number): Promise<void> {
    return sleep(this.me.clock, ms)
  }
}
