import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import type { Simulation } from 'tidemark/testing'
import { describe, expect, test } from 'vitest'
import { sleep } from '../../../src/clock.js'
import { Presence } from '../../../src/group/presence.js'
import { renewInWorker, workerRenewer } from '../../../src/group/worker.js'
import { idOf, inTime, LEASE, leaseIn, Member, STORE, THIRD, WAY } from '../../support/members.js'
import { line } from '../../support/worker-line.js'

/** A thread that can be held up, its worker, and a neighbour that watches. */
async function threeOf(
  sim: Simulation,
  run: (world: {
    readonly presence: Presence
    readonly told: string[]
    readonly watcher: Member
    readonly storage: Storage
    readonly block: (ms: number) => Promise<void>
  }) => Promise<void>,
): Promise<void> {
  const storage = memory()
  const told: string[] = []
  let presence: Presence | undefined
  let end!: () => void
  const over = new Promise<void>((resolve) => (end = resolve))
  const worker = sim.actor('worker', () => over)
  const clock = { ...worker.clock, monotonic: () => worker.clock.monotonic() + 1e6 }
  const thread = sim.actor('thread', async (me) => {
    const [here, there] = line(me.clock, clock)
    renewInWorker({ storage: worker.storage(storage), port: there, clock })
    presence = await Presence.begin({
      storage: me.storage(storage),
      store: STORE,
      leaseMs: LEASE,
      clock: me.clock,
      renewer: workerRenewer(here),
      lost: (reason) => told.push(`lost: ${reason}`),
      dead: (member) => told.push(`dead: ${member}`),
      silent: () => told.push('silent'),
      failed: () => undefined,
    })
    await over
  })
  while (!presence) await sleep(sim.clock, 10)
  const watcher = new Member(sim, storage, idOf(0))
  watcher.watch(watcher.id, presence.member)
  const block = async (ms: number): Promise<void> => {
    sim.stall(thread, ms)
    await sleep(sim.clock, ms + 10)
  }
  await run({ presence, told, watcher, storage, block })
  presence.stop()
  end()
}

describe('a worker', () => {
  test('renews while its thread is blocked for leases, and the thread knows it at once', () =>
    inTime(async (sim) => {
      await threeOf(sim, async ({ presence, told, watcher, block }) => {
        await block(4 * LEASE)
        expect(watcher.told.dead).toEqual([])
        expect(told).toEqual([])
        expect(presence.awayMs()).toBeLessThan(THIRD + 3 * WAY)
        await sleep(sim.clock, 2 * LEASE)
        expect(told).toEqual([])
      })
    }))

  test('stops when its thread has not answered for five leases', () =>
    inTime(async (sim) => {
      await threeOf(sim, async ({ presence, told, watcher, block }) => {
        await block(8 * LEASE)
        expect(watcher.told.dead[0]).toMatchObject({ member: presence.member })
        await sleep(sim.clock, THIRD)
        expect(told).toContain('lost: buried')
      })
    }))

  test('goes on where it was when its thread answers again in time', () =>
    inTime(async (sim) => {
      await threeOf(sim, async ({ presence, told, storage, block }) => {
        const before = (await leaseIn(storage, presence.member))!.counter
        await block(5.5 * LEASE)
        await sleep(sim.clock, 2 * LEASE)
        expect((await leaseIn(storage, presence.member))!.counter).toBeGreaterThan(before + 17)
        expect(told.filter((word) => word !== 'silent')).toEqual([])
      })
    }))

  test('never takes a proof for younger than it is, whatever its clock counts from', () =>
    inTime(async (sim) => {
      await threeOf(sim, async ({ presence, watcher }) => {
        for (let i = 0; i < 50; i++) {
          await sleep(sim.clock, LEASE / 20)
          expect(presence.awayMs()).toBeLessThan(THIRD + 3 * WAY)
          expect(presence.awayMs()).toBeGreaterThanOrEqual(1)
        }
        expect(watcher.told.dead).toEqual([])
      })
    }))

  test('whose script begins to listen late is told again', () =>
    inTime(async (sim) => {
      const storage = memory()
      const [here, there] = line(sim.clock, sim.clock)
      const others = { lost: () => undefined, dead: () => undefined, silent: () => undefined, failed: () => undefined }
      const place = { storage: sim.storage(storage), store: STORE, leaseMs: LEASE, clock: sim.clock }
      const beginning = Presence.begin({ ...place, ...others, renewer: workerRenewer(here) })
      await sleep(sim.clock, 100)
      there.forget()
      renewInWorker({ storage: place.storage, port: there, clock: sim.clock })
      const presence = await beginning
      expect(sim.clock.monotonic()).toBeLessThan(THIRD)
      await presence.leave()
      await sleep(sim.clock, LEASE)
      expect(await leaseIn(storage, presence.member)).toBeUndefined()
    }))

  test('that cannot start is the reason why nobody joins', () =>
    inTime(async (sim) => {
      const [here] = line(sim.clock, sim.clock)
      const others = { lost: () => undefined, dead: () => undefined, silent: () => undefined, failed: () => undefined }
      const place = { storage: sim.storage(memory()), store: STORE, leaseMs: LEASE, clock: sim.clock }
      const beginning = Presence.begin({ ...place, ...others, renewer: workerRenewer(here) })
      const refused = expect(beginning).rejects.toThrow(/Cannot find module/)
      await sleep(sim.clock, 100)
      here.arrive('error', new Error('Cannot find module.'))
      await refused
    }))

  test('of a browser is heard by its events, and has other messages', () =>
    inTime(async (sim) => {
      const { told } = new Member(sim, memory(), idOf(1))
      const target = new EventTarget()
      const sent: unknown[] = []
      const port = Object.assign(target, { postMessage: (message: unknown) => void sent.push(message) })
      const say = (data: unknown): void => void target.dispatchEvent(Object.assign(new Event('message'), { data }))
      const renewing = workerRenewer(port).start({
        storage: memory(),
        store: STORE,
        member: idOf(1),
        leaseMs: LEASE,
        clock: sim.clock,
        proved: (proof) => void told.proofs.push(proof),
        lost: (reason) => void told.lost.push(reason),
        failed: (cause) => void told.failed.push(cause),
      })
      const proof = { monotonic: 1, now: 2 }
      for (const other of [undefined, 'text', {}, { tidemark: 'proved', member: idOf(2), sent: proof }]) say(other)
      expect(told.proofs).toEqual([])
      say({ tidemark: 'proved', member: idOf(1), sent: proof })
      say({ tidemark: 'failed', member: idOf(1), message: 'No line.' })
      say({ tidemark: 'lost', member: idOf(1), reason: 'gone' })
      target.dispatchEvent(Object.assign(new Event('error'), { message: 'No script.' }))
      expect(told).toMatchObject({ proofs: [proof], lost: ['gone'] })
      expect(told.failed.map(String)).toEqual(['Error: No line.', 'Error: No script.'])
      renewing.stop()
      say({ tidemark: 'lost', member: idOf(1), reason: 'gone' })
      expect(told.lost).toEqual(['gone'])
      expect(sent).toMatchObject([{ tidemark: 'renew', store: STORE }, { tidemark: 'stop' }])
      await sleep(sim.clock, LEASE)
      expect(sent).toHaveLength(2)
    }))

  test.each([undefined, {}, 'worker'])('is refused when it is none: %s', (given) => {
    expect(() => workerRenewer(given as never)).toThrow(/a worker is expected/)
    expect(() => renewInWorker({ storage: memory(), port: given as never })).toThrow(/a port to the thread is expected/)
  })
})
