import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty, type Fault, type Point, type Simulation } from 'tidemark/testing'
import { describe, expect, test } from 'vitest'
import { sleep } from '../../../src/clock.js'
import { leasePath } from '../../../src/group/lease.js'
import { Presence, type PresenceOptions } from '../../../src/group/presence.js'
import { inTime, LEASE, leaseIn, overwrite, STORE, THIRD, WAY, withJumps } from '../../support/members.js'

/** The options of a member, and what it is told. */
function world(sim: Simulation, storage: Storage = memory()) {
  const told: string[] = []
  const line: { fault: (point: Point) => Fault | undefined } = { fault: () => undefined }
  const options: PresenceOptions = {
    storage: faulty(sim.storage(storage), (point) => line.fault(point)),
    store: STORE,
    leaseMs: LEASE,
    clock: sim.clock,
    lost: (reason) => told.push(`lost: ${reason}`),
    dead: (member) => told.push(`dead: ${member}`),
    silent: () => told.push('silent'),
    failed: () => undefined,
  }
  return { storage, options, told, line, pass: (ms: number) => sleep(sim.clock, ms) }
}

describe('a life', () => {
  test('begins when its lease stands', () =>
    inTime(async (sim) => {
      const { storage, options } = world(sim)
      const presence = await Presence.begin(options)
      expect(await leaseIn(storage, presence.member)).toMatchObject({ member: presence.member, leaseMs: LEASE })
      expect(presence.awayMs()).toBeLessThan(2 * WAY)
      presence.stop()
    }))

  test('that nobody answers does not begin, and says why', () =>
    inTime(async (sim) => {
      const { options, line } = world(sim)
      line.fault = () => 'error-before'
      const error = await Presence.begin(options).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
      expect(String(error)).toMatch(/renewed for 9000 ms \(.*swap/)
      expect(sim.clock.monotonic()).toBeLessThan(LEASE + THIRD)
    }))

  test('that is aborted does not begin, and leaves no lease', () =>
    inTime(async (sim) => {
      const { storage, options } = world(sim)
      const controller = new AbortController()
      const paths: string[] = []
      const watched = faulty(options.storage, ({ path }) => void paths.push(path))
      const beginning = Presence.begin({ ...options, storage: watched, signal: controller.signal })
      const isOver = expect(beginning).rejects.toMatchObject({ code: 'ABORTED' })
      await sim.call('a moment', () => Promise.resolve())
      controller.abort()
      await isOver
      await sleep(sim.clock, 4 * WAY)
      expect(new Set(paths).size).toBe(1)
      expect((await storage.anchor(paths[0]!).read()).bytes).toBeUndefined()
      await expect(Presence.begin({ ...options, signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' })
    }))

  test('ends when the member is buried, and tells it once', () =>
    inTime(async (sim) => {
      const { storage, options, told, pass } = world(sim)
      const presence = await Presence.begin(options)
      await overwrite(storage, presence.member, { isDead: true })
      expect(presence.gone.aborted).toBe(false)
      await pass(2 * THIRD)
      expect(presence.gone.aborted).toBe(true)
      presence.lose('removed')
      await pass(2 * LEASE)
      expect(told).toEqual(['lost: buried'])
    }))

  test('ends when the members do without it, and its lease is left to the others', () =>
    inTime(async (sim) => {
      const { storage, options, told, pass } = world(sim)
      const presence = await Presence.begin(options)
      presence.lose('removed')
      expect(presence.gone.aborted).toBe(true)
      await pass(WAY)
      expect(told).toEqual(['lost: removed'])
      expect(await leaseIn(storage, presence.member)).toBeDefined()
    }))

  test('that is left takes its lease along', () =>
    inTime(async (sim) => {
      const { storage, options, told, pass } = world(sim)
      const presence = await Presence.begin(options)
      await presence.leave()
      expect((await storage.anchor(leasePath(STORE, presence.member)).read()).bytes).toBeUndefined()
      await pass(2 * LEASE)
      expect(told).toEqual([])
    }))

  test('without an answer for a lease says so once, and comes back', () =>
    inTime(async (sim) => {
      const { options, told, line, pass } = world(sim)
      const presence = await Presence.begin(options)
      line.fault = () => 'error-before'
      await pass(LEASE - THIRD)
      expect(told).toEqual([])
      await pass(LEASE)
      expect(told).toEqual(['silent'])
      expect(presence.awayMs()).toBeGreaterThan(LEASE)
      line.fault = () => undefined
      await pass(2 * THIRD)
      expect(presence.awayMs()).toBeLessThan(THIRD + 2 * WAY)
      line.fault = () => 'error-before'
      await pass(2 * LEASE)
      expect(told).toEqual(['silent', 'silent'])
      presence.stop()
    }))

  test('knows that it was away by the clock that went on', () =>
    inTime(async (sim) => {
      const { me, jump } = withJumps(sim)
      const { options } = world(sim)
      const presence = await Presence.begin({ ...options, clock: me.clock })
      jump(10 * LEASE)
      expect(presence.awayMs()).toBeGreaterThan(10 * LEASE - WAY)
      presence.stop()
    }))

  test('watches the next two of the members, and tells who is dead', () =>
    inTime(async (sim) => {
      const { storage, options, told, pass } = world(sim)
      const presence = await Presence.begin(options)
      const others = ['0', '1', 'f'].map((digit) => digit.repeat(32))
      for (const other of others) await overwrite(storage, other, { isDead: true })
      presence.watch([presence.member, ...others])
      await pass(THIRD / 2)
      presence.stop()
      expect(new Set(told).size).toBe(2)
      expect(told.every((line) => line.startsWith('dead: '))).toBe(true)
    }))

  test('whose listeners fail goes on', () =>
    inTime(async (sim) => {
      const { storage, options, pass } = world(sim)
      const fail = (): never => {
        throw new Error('The program is to blame.')
      }
      const presence = await Presence.begin({ ...options, lost: fail, dead: fail, failed: fail })
      const other = 'e'.repeat(32)
      await overwrite(storage, other, { isDead: true })
      presence.watch([presence.member, other])
      await pass(LEASE)
      await overwrite(storage, presence.member, { isDead: true })
      await pass(THIRD + 2 * WAY)
      expect(presence.gone.aborted).toBe(true)
    }))
})
