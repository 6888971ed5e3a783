import { memory } from 'tidemark/memory'
import { flipBit } from 'tidemark/testing'
import { describe, expect, test } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.js'
import { leasePath } from '../../../src/group/lease.js'
import { newState } from '../../../src/group/renewal.js'
import { intercept } from '../../../src/storage/intercept.js'
import { idOf, inTime, LEASE, leaseIn, Member, overwrite, STORE, THIRD, WAY } from '../../support/members.js'

const ID = idOf(1)

describe('a renewal', () => {
  test('is sent every third of a lease, counted from the sending of the one before, and is one request', () =>
    inTime(async (sim) => {
      const member = new Member(sim, memory(), ID)
      member.renew()
      await member.pass(10 * THIRD + WAY)
      const at = member.told.sent.map((call) => call.at)
      expect(at).toHaveLength(11)
      for (const [i, ms] of at.entries()) expect(ms).toBeCloseTo(at[0]! + i * THIRD, 0)
      expect(new Set(member.told.sent.map(({ method }) => method))).toEqual(new Set(['swap']))
    }))

  test('says who renews, how long a lease is, and something new each time', () =>
    inTime(async (sim) => {
      const storage = memory()
      const member = new Member(sim, storage, ID)
      member.renew()
      await member.pass(THIRD)
      const first = await leaseIn(storage, ID)
      await member.pass(THIRD)
      const second = await leaseIn(storage, ID)
      expect(first).toMatchObject({ member: ID, counter: 0, leaseMs: LEASE, isDead: false })
      expect(second!.counter).toBe(1)
      expect(second!.random).not.toEqual(first!.random)
    }))

  test('proves the lease as of its sending', () =>
    inTime(async (sim) => {
      const member = new Member(sim, memory(), ID)
      member.renew()
      await member.pass(3 * THIRD + 2 * WAY)
      expect(member.told.proofs.map(({ monotonic }) => monotonic)).toEqual(member.told.sent.map(({ at }) => at))
    }))

  test('reads its token where a swap does not answer it', () =>
    inTime(async (sim) => {
      const storage = intercept(memory(), async (call, run) => {
        const { token, ...rest } = (await run(call.signal)) as { token?: string }
        return (call.method === 'swap' ? rest : { token, ...rest }) as never
      })
      const member = new Member(sim, storage, ID)
      member.renew()
      await member.pass(4 * THIRD + THIRD / 2)
      expect((await leaseIn(storage, ID))!.counter).toBe(4)
      expect(member.told.sent.map(({ method }) => method).join(' ')).toBe(
        'swap read swap read swap read swap read swap',
      )
    }))

  test('whose reply was lost is known again', () =>
    inTime(async (sim) => {
      const storage = memory()
      const member = new Member(sim, storage, ID)
      member.renew()
      await member.pass(THIRD / 2)
      let lost = 3
      member.fault = ({ method }) => (method === 'swap' && lost-- > 0 ? 'reply-lost' : undefined)
      await member.pass(6 * THIRD)
      expect(member.told.lost).toEqual([])
      expect((await leaseIn(storage, ID))!.counter).toBeGreaterThan(5)
      expect(sim.clock.monotonic() - member.told.proofs.at(-1)!.monotonic).toBeLessThan(THIRD + 2 * WAY)
    }))

  test('goes on after an outage in which nobody buried its member, and is not hurried meanwhile', () =>
    inTime(async (sim) => {
      const storage = memory()
      const member = new Member(sim, storage, ID)
      member.renew()
      await member.pass(THIRD / 2)
      member.fault = () => 'error-before'
      await member.pass(10 * LEASE)
      expect(member.told.failed.length).toBeLessThan(48 + 30)
      member.fault = () => undefined
      await member.pass(THIRD)
      expect(member.told.lost).toEqual([])
      expect(sim.clock.monotonic() - member.told.proofs.at(-1)!.monotonic).toBeLessThan(THIRD)
    }))

  test('that nobody acknowledges is not made anew for ever', () =>
    inTime(async (sim) => {
      const member = new Member(sim, memory(), ID)
      const state = newState()
      member.renew(state)
      member.fault = ({ method }) => (method === 'swap' ? 'unknown-before' : undefined)
      await member.pass(100 * LEASE)
      expect(state.sent.length).toBeLessThan(100)
      member.fault = () => undefined
      await member.pass(2 * THIRD)
      expect(member.told.proofs).not.toEqual([])
      expect(state.sent).toHaveLength(1)
    }))

  test('is the last one when it is stopped', () =>
    inTime(async (sim) => {
      const member = new Member(sim, memory(), ID)
      const renewal = member.renew()
      await member.pass(THIRD / 2)
      renewal.stop()
      await member.pass(2 * LEASE)
      expect(member.told.sent).toHaveLength(1)
      expect(member.told.lost).toEqual([])
    }))
})

describe('a member is out', () => {
  test.each([
    ['buried', { isDead: true }],
    ['foreign', { counter: 5 }],
  ] as const)('when its lease is %s, and leaves that alone', (reason, given) =>
    inTime(async (sim) => {
      const storage = memory()
      const member = new Member(sim, storage, ID)
      member.renew()
      await member.pass(THIRD / 2)
      await overwrite(storage, ID, given)
      await member.pass(2 * LEASE)
      expect(member.told.lost).toEqual([reason])
      expect(await leaseIn(storage, ID)).toMatchObject(given)
    }),
  )

  test('when its lease is gone', () =>
    inTime(async (sim) => {
      const storage = memory()
      const member = new Member(sim, storage, ID)
      member.renew()
      await member.pass(THIRD / 2)
      await storage.anchor(leasePath(STORE, ID)).remove()
      await member.pass(2 * LEASE)
      expect(member.told.lost).toEqual(['gone'])
      expect(await leaseIn(storage, ID)).toBeUndefined()
    }))

  test('when a newer release wrote its lease', () =>
    inTime(async (sim) => {
      const storage = memory()
      const member = new Member(sim, storage, ID)
      member.renew()
      await member.pass(THIRD / 2)
      const { bytes } = await storage.anchor(leasePath(STORE, ID)).read()
      const newer = bytes!.slice()
      newer[4] = 9
      await overwrite(storage, ID, withHeadChecksum(newer))
      await member.pass(2 * LEASE)
      expect(member.told.lost).toEqual(['foreign'])
    }))
})

describe('a damaged lease', () => {
  test('is written anew', () =>
    inTime(async (sim) => {
      const storage = memory()
      const member = new Member(sim, storage, ID)
      member.renew()
      await member.pass(THIRD / 2)
      await overwrite(storage, ID, Uint8Array.of(1, 2, 3))
      await member.pass(2 * THIRD)
      expect(member.told.lost).toEqual([])
      expect(await leaseIn(storage, ID)).toMatchObject({ member: ID, isDead: false })
    }))

  test('is read twice: what only the line has damaged may say that its member is dead', () =>
    inTime(async (sim) => {
      const storage = memory()
      const member = new Member(sim, storage, ID)
      member.renew()
      await member.pass(THIRD / 2)
      await overwrite(storage, ID, { isDead: true })
      let isFirst = true
      member.fault = ({ method }) => {
        if (method !== 'read' || !isFirst) return undefined
        isFirst = false
        return { corrupt: flipBit(200) }
      }
      await member.pass(2 * THIRD)
      expect(isFirst).toBe(false)
      expect(member.told.lost).toEqual(['buried'])
    }))
})

function withHeadChecksum(bytes: Uint8Array): Uint8Array {
  new DataView(bytes.buffer).setUint32(12, crc32(bytes.subarray(0, 12)), true)
  return bytes
}
