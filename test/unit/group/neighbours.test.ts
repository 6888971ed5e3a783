import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import type { Simulation } from 'tidemark/testing'
import { describe, expect, test } from 'vitest'
import { nextOf } from '../../../src/group/neighbours.js'
import { Turns } from '../../../src/storage/turns.js'
import { idOf, inTime, LEASE, leaseIn, Member, overwrite, THIRD, WAY, withJumps } from '../../support/members.js'

const [A, B, C] = [1, 2, 3].map(idOf) as [string, string, string]

/** A watcher, and a member that renews its lease. */
async function pair(sim: Simulation, storage: Storage, leaseMs = LEASE) {
  const watched = new Member(sim, storage, B, leaseMs)
  const renewal = watched.renew()
  await watched.pass(3 * WAY)
  return { watcher: new Member(sim, storage, A), watched, renewal }
}

describe('the next of the ring', () => {
  test('are two, by id, and the ring closes', () => {
    expect(nextOf(A, [C, B, A])).toEqual([B, C])
    expect(nextOf(C, [C, B, A])).toEqual([A, B])
    expect(nextOf(B, [A, B])).toEqual([A])
    expect(nextOf(A, [A])).toEqual([])
    expect(nextOf(B, [A, A, C, C])).toEqual([C, A])
  })
})

describe('a watcher', () => {
  test('reads each of its two once in a third of a lease', () =>
    inTime(async (sim) => {
      const storage = memory()
      const { watcher } = await pair(sim, storage)
      new Member(sim, storage, C).renew()
      await watcher.pass(THIRD / 2)
      watcher.watch(A, B, C, idOf(4))
      await watcher.pass(10 * THIRD)
      expect(watcher.told.sent.length).toBeGreaterThan(18)
      expect(watcher.told.sent.length).toBeLessThanOrEqual(20)
      expect(watcher.told.dead).toEqual([])
    }))

  test('finds a death within two to four thirds of a lease, and says so in the lease', () =>
    inTime(async (sim) => {
      const storage = memory()
      const { watcher, renewal } = await pair(sim, storage)
      watcher.watch(A, B)
      await watcher.pass(10 * LEASE + THIRD / 3)
      expect(watcher.told.dead).toEqual([])
      renewal.stop()
      const died = sim.clock.monotonic()
      await watcher.pass(4 * THIRD + 6 * WAY)
      expect(watcher.told.dead[0]!.member).toBe(B)
      expect(watcher.told.dead[0]!.at - died).toBeGreaterThan(2 * THIRD - 2 * WAY)
      expect(await leaseIn(storage, B)).toMatchObject({ member: B, leaseMs: LEASE, isDead: true })
    }))

  test('finds it as soon while all turns of its process are taken, and its own lease is renewed', () =>
    inTime(async (sim) => {
      const turns = new Turns(1)
      turns.free = 0
      const inner = memory()
      const storage = { ...inner, capabilities: { ...inner.capabilities, turns: () => turns } }
      const { watcher, renewal } = await pair(sim, storage)
      watcher.renew()
      watcher.watch(A, B)
      await watcher.pass(10 * LEASE + THIRD / 3)
      renewal.stop()
      await watcher.pass(4 * THIRD + 6 * WAY)
      expect(watcher.told.dead[0]!.member).toBe(B)
      const before = await leaseIn(inner, A)
      await watcher.pass(THIRD + 2 * WAY)
      expect((await leaseIn(inner, A))!.counter).toBe(before!.counter + 1)
      expect(turns.waiting.size).toBe(0)
    }))

  test('says it again for as long as the dead one is listed, and not afterwards', () =>
    inTime(async (sim) => {
      const storage = memory()
      const watcher = new Member(sim, storage, A)
      await overwrite(storage, B, { isDead: true })
      const neighbours = watcher.watch(A, B)
      await watcher.pass(2 * THIRD + THIRD / 2)
      expect(watcher.told.dead).toHaveLength(3)
      neighbours.watch([A])
      await watcher.pass(LEASE)
      expect(watcher.told.dead).toHaveLength(3)
    }))

  test.each([['nothing'], ['damage']])('judges %s by as many looks as a lease', (what) =>
    inTime(async (sim) => {
      const storage = memory()
      const watcher = new Member(sim, storage, A)
      if (what === 'damage') await overwrite(storage, B, Uint8Array.of(1, 2, 3))
      watcher.watch(A, B)
      await watcher.pass(LEASE - THIRD / 2)
      expect(watcher.told.dead).toEqual([])
      await watcher.pass(THIRD)
      expect(watcher.told.dead.map(({ member }) => member)).toEqual([B])
      expect(await leaseIn(storage, B)).toMatchObject({ member: B, isDead: true })
    }),
  )

  test('waits for as long as the lease itself says', () =>
    inTime(async (sim) => {
      const storage = memory()
      const { watcher, renewal } = await pair(sim, storage, 10 * LEASE)
      watcher.watch(A, B)
      renewal.stop()
      await watcher.pass(9 * LEASE)
      expect(watcher.told.dead).toEqual([])
      await watcher.pass(2 * LEASE)
      expect(watcher.told.dead.map(({ member }) => member)).toEqual([B])
    }))

  test('who is no member, or has stopped, looks at nobody', () =>
    inTime(async (sim) => {
      const storage = memory()
      const watcher = new Member(sim, storage, A)
      watcher.watch(B, C)
      const neighbours = watcher.watch(A, B, C)
      neighbours.stop()
      await watcher.pass(2 * LEASE)
      expect(watcher.told.sent.length).toBeLessThanOrEqual(2)
      expect(watcher.told.dead).toEqual([])
    }))

  test('begins its looks anew when the clock says that it slept', () =>
    inTime(async (sim) => {
      const storage = memory()
      const { watched, renewal } = await pair(sim, storage)
      renewal.stop()
      const { me, jump } = withJumps(sim)
      const watcher = new Member(me, storage, A)
      watcher.watch(A, B)
      await watcher.pass(2 * THIRD + 4 * WAY)
      jump(10 * LEASE)
      await watcher.pass(THIRD)
      expect(watcher.told.dead).toEqual([])
      await watched.pass(LEASE + 8 * WAY)
      expect(watcher.told.dead).toHaveLength(1)
    }))

  test('looks again soon when a request failed, and says why', () =>
    inTime(async (sim) => {
      const storage = memory()
      const { watcher, renewal } = await pair(sim, storage)
      renewal.stop()
      let failures = 5
      watcher.fault = () => (failures-- > 0 ? 'error-before' : undefined)
      watcher.watch(A, B)
      await watcher.pass(LEASE + THIRD)
      expect(watcher.told.failed).toHaveLength(5)
      expect(watcher.told.dead).toHaveLength(1)
    }))
})
