/** Rules G1 to G5 of docs/protocol.md: leases, and who buries whom. */
import { memory } from 'tidemark/memory'
import { expect } from 'vitest'
import type { Presence as PresenceOf, PresenceOptions } from '../../src/group/presence.js'
import type { RenewalState } from '../../src/group/renewal.js'
import { intercept } from '../../src/storage/intercept.js'
import { edit, rule, type Edit } from '../support/mutated.js'
import type * as Members from '../support/members.js'

const NEIGHBOURS = 'src/group/neighbours.ts'
const RENEWAL = 'src/group/renewal.ts'

function members(
  number: `G${number}`,
  title: string,
  edits: readonly Edit[],
  body: (sources: typeof Members) => Promise<void>,
): void {
  rule<typeof Members>(number, title, edits, body, { module: 'test/support/members.ts' })
}

const [A, B, C, D] = [1, 2, 3, 4].map((n) => String(n).repeat(32)) as [string, string, string, string]

members(
  'G1',
  'a clock that jumps buries nobody',
  [
    edit(NEIGHBOURS, 'since(clock, before.at) < 2 * this.#third', 'true'),
    edit(NEIGHBOURS, 'Math.min(before.looks + 1, LOOKS)', '(since(clock, before.at) > this.#leaseMs ? LOOKS : 1)'),
  ],
  async ({ inTime, Member, withJumps, LEASE, THIRD }) => {
    const dead = await inTime(async (sim) => {
      const storage = memory()
      const watched = new Member(sim, storage, B)
      watched.renew()
      await watched.pass(THIRD / 2)
      const { me, jump } = withJumps(sim)
      const watcher = new Member(me, storage, A)
      watcher.watch(A, B)
      // A look finds the renewal of before the other one found it as well.
      for (let i = 0; i < 6; i++) {
        await watcher.pass(THIRD)
        jump(10 * LEASE)
        watched.fault = () => (i % 2 === 0 ? 'error-before' : undefined)
      }
      return watcher.told.dead
    })
    expect(dead).toEqual([])
  },
)

members(
  'G1',
  'looks are counted from the answer of the one before',
  [
    edit(NEIGHBOURS, '    const at = instant(clock)\n', ''),
    edit(NEIGHBOURS, '    if (early > 0) return', '    const at = instant(clock)\n    if (early > 0) return'),
    edit(NEIGHBOURS, 'return this.#seen.looks < LOOKS ? this.#third :', 'return this.#seen.looks < LOOKS ? 0 :'),
  ],
  async ({ inTime, Member, LEASE, THIRD }) => {
    const ages = await inTime(async (sim) => {
      const storage = memory()
      const watched = new Member(sim, storage, B)
      // The first answer of the watcher is late, and so old that the member renews its lease right before it is served.
      let isFirst = true
      const slow = intercept(sim.storage(storage), async (call, run) => {
        if (isFirst) {
          isFirst = false
          await watched.pass(LEASE / 8)
        }
        return run(call.signal)
      })
      const watcher = new Member({ ...sim, storage: () => slow }, storage, A)
      watcher.watch(A, B)
      await watched.pass(LEASE / 8 - THIRD / 10)
      const renewal = watched.renew()
      await watched.pass(THIRD / 2)
      renewal.stop()
      await watcher.pass(2 * LEASE)
      const [{ at } = { at: Infinity }] = watcher.told.dead
      return at - watched.told.proofs.at(-1)!.monotonic
    })
    expect(ages).toBeGreaterThanOrEqual(LEASE)
  },
)

members(
  'G2',
  'a swap that was lost has buried nobody',
  [edit(NEIGHBOURS, "if (answer.outcome === 'committed') return", 'return')],
  async ({ inTime, Member, overwrite, LEASE, THIRD }) => {
    const dead = await inTime(async (sim) => {
      const storage = memory()
      await overwrite(storage, B, { counter: 1 })
      const watcher = new Member(sim, storage, A)
      // The member comes back between the last look and the verdict.
      watcher.fault = ({ method }) => {
        if (method === 'swap') void overwrite(storage, B, { counter: 2, random: new Uint8Array(16) })
        return undefined
      }
      watcher.watch(A, B)
      await watcher.pass(LEASE + THIRD / 2)
      return watcher.told.dead
    })
    expect(dead).toEqual([])
  },
)

members(
  'G2',
  'a swap of which nothing is known has buried nobody yet',
  [edit(NEIGHBOURS, "if (answer.outcome === 'unknown') return this.#fail(answer.cause)", 'return this.#tellDead()')],
  async ({ inTime, Member, overwrite, leaseIn, LEASE, THIRD }) => {
    const seen = await inTime(async (sim) => {
      const storage = memory()
      await overwrite(storage, B, { counter: 1 })
      const watcher = new Member(sim, storage, A)
      let unknown = 5
      watcher.fault = ({ method }) => (method === 'swap' && unknown-- > 0 ? 'unknown-before' : undefined)
      watcher.watch(A, B)
      const early: boolean[] = []
      for (let i = 0; i < 100; i++) {
        await watcher.pass((LEASE + THIRD) / 100)
        const isBuried = (await leaseIn(storage, B))!.isDead
        if (watcher.told.dead.length > 0) early.push(isBuried)
      }
      return early
    })
    expect(seen.length).toBeGreaterThan(0)
    expect(seen).not.toContain(false)
  },
)

members(
  'G2',
  'a watcher that slept begins its looks again',
  [edit(NEIGHBOURS, ' && since(clock, before.at) < 2 * this.#third', '')],
  async ({ inTime, Member, overwrite, withJumps, LEASE, THIRD, WAY }) => {
    const dead = await inTime(async (sim) => {
      const storage = memory()
      await overwrite(storage, B, {})
      const { me, jump } = withJumps(sim)
      const watcher = new Member(me, storage, A)
      watcher.watch(A, B)
      await watcher.pass(2 * THIRD + 6 * WAY)
      // All of the machine slept, and the other has not been able to renew its lease yet.
      jump(10 * LEASE)
      await watcher.pass(THIRD)
      return watcher.told.dead
    })
    expect(dead).toEqual([])
  },
)

members(
  'G3',
  'of two that have one identity one is out',
  [edit(RENEWAL, 'if (reason !== undefined) return', "if (reason === 'buried') return")],
  async ({ inTime, Member, THIRD, LEASE }) => {
    const lost = await inTime(async (sim) => {
      const storage = memory()
      const state: RenewalState = { place: { token: undefined }, sent: [], counter: 0, isBegun: false }
      const machine = new Member(sim, storage, B)
      machine.renew(state)
      await machine.pass(THIRD / 2)
      const copy = new Member(sim, storage, B)
      copy.renew(structuredClone(state))
      await machine.pass(3 * LEASE)
      return [...machine.told.lost, ...copy.told.lost]
    })
    expect(lost).toEqual(['foreign'])
  },
)

members(
  'G3',
  'all renewals of unknown fate are its own',
  [edit(RENEWAL, 'state.sent.find((renewal)', 'state.sent.slice(0, 1).find((renewal)')],
  async ({ inTime, Member, THIRD, LEASE }) => {
    const lost = await inTime(async (sim) => {
      const member = new Member(sim, memory(), B)
      member.renew()
      await member.pass(THIRD / 2)
      let replies = 2
      member.fault = ({ method }) => (method === 'swap' && replies-- > 0 ? 'reply-lost' : undefined)
      await member.pass(2 * LEASE)
      return member.told.lost
    })
    expect(lost).toEqual([])
  },
)

members(
  'G3',
  'a damaged lease is written anew',
  [
    edit(
      RENEWAL,
      "error.code === 'CORRUPT' ? undefined : 'foreign'",
      "error.code === 'CORRUPT' ? 'foreign' : 'foreign'",
    ),
  ],
  async ({ inTime, Member, overwrite, THIRD }) => {
    const lost = await inTime(async (sim) => {
      const storage = memory()
      const member = new Member(sim, storage, B)
      member.renew()
      await member.pass(THIRD / 2)
      await overwrite(storage, B, Uint8Array.of(1, 2, 3))
      await member.pass(2 * THIRD)
      return member.told.lost
    })
    expect(lost).toEqual([])
  },
)

members(
  'G3',
  'who is started again is another',
  [edit('src/group/presence.ts', 'toHex(clock.random(MEMBER_BYTES))', "toHex(clock.random(0)).padEnd(32, '1')")],
  async ({ inTime, Presence, LEASE, THIRD }) => {
    const lost: string[] = []
    const begun = await inTime(async (sim) => {
      const place = { storage: sim.storage(memory()), store: 's', leaseMs: LEASE, clock: sim.clock }
      const others = { dead: () => undefined, silent: () => undefined, failed: () => undefined }
      const options: PresenceOptions = { ...place, ...others, lost: (reason) => lost.push(reason) }
      const frozen = await Presence.begin(options)
      const again = await Presence.begin(options).catch((): PresenceOf | undefined => undefined)
      await sim.call('a while', () => Promise.resolve())
      await new Promise<void>((resolve) => sim.clock.timer(4 * THIRD, resolve))
      await frozen.leave()
      await again?.leave()
      return again !== undefined
    })
    expect([begun, lost]).toEqual([true, []])
  },
)

members(
  'G4',
  'two blips kill nobody',
  [edit(RENEWAL, 'return age < 2 * leaseMs ? leaseMs / AGAIN : third', 'return third')],
  async ({ inTime, Member, LEASE, THIRD }) => {
    const dead = await inTime(async (sim) => {
      const storage = memory()
      const member = new Member(sim, storage, B)
      const start = sim.clock.monotonic()
      // A blip whenever a renewal is due, for a sixth of a lease.
      member.fault = () => {
        const passed = sim.clock.monotonic() - start
        return passed > THIRD / 2 && (passed + THIRD / 10) % THIRD < THIRD / 2 ? 'error-before' : undefined
      }
      member.renew()
      await member.pass(THIRD / 2)
      const watcher = new Member(sim, storage, A)
      watcher.watch(A, B)
      await watcher.pass(6 * LEASE)
      return watcher.told.dead
    })
    expect(dead).toEqual([])
  },
)

members(
  'G4',
  'the next renewal is due a third of a lease after this one was sent, however slow the answer is',
  [edit(RENEWAL, 'if (age < third) return third - age', 'if (age < third) return third')],
  async ({ inTime, Member, LEASE, THIRD }) => {
    const gaps = await inTime(async (sim) => {
      const slow = intercept(memory(), async (call, run) => {
        const answer = await run(call.signal)
        await new Promise<void>((resolve) => sim.clock.timer(LEASE / 8, resolve))
        return answer
      })
      // The line is beneath: its delay is that of the answer.
      const member = new Member({ ...sim, storage: () => slow }, memory(), B)
      member.renew()
      await member.pass(4 * THIRD + THIRD / 2)
      const at = member.told.sent.map((call) => call.at)
      return at.slice(1).map((ms, i) => ms - at[i]!)
    })
    expect(gaps.length).toBeGreaterThan(2)
    for (const gap of gaps) expect(gap).toBeLessThan(THIRD + 10)
  },
)

members(
  'G5',
  'two that die side by side are found as soon as one',
  [edit(NEIGHBOURS, 'const WATCHED = 2', 'const WATCHED = 1')],
  async ({ inTime, Member, overwrite, LEASE, THIRD }) => {
    const found = await inTime(async (sim) => {
      const storage = memory()
      for (const dead of [B, C]) await overwrite(storage, dead, {})
      const living = new Member(sim, storage, D)
      living.renew()
      await living.pass(THIRD / 2)
      const watcher = new Member(sim, storage, A)
      const listed = new Set([A, B, C, D])
      const neighbours = watcher.watch(...listed)
      for (let i = 0; i < 20; i++) {
        await watcher.pass((LEASE + THIRD) / 20)
        for (const { member } of watcher.told.dead) listed.delete(member)
        neighbours.watch(listed)
      }
      return [...listed]
    })
    expect(found).toEqual([A, D])
  },
)
