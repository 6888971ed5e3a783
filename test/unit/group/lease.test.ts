import { describe, expect, test } from 'vitest'
import { seal } from '../../../src/bytes/envelope.js'
import { decodeLease, encodeLease, leasePath, type Lease } from '../../../src/group/lease.js'
import { bytesOf } from '../../support/crafted.js'

const lease: Lease = {
  member: '000102030405060708090a0b0c0d0e0f',
  counter: 300,
  random: new Uint8Array(16).fill(9),
  leaseMs: 15_000,
  isDead: false,
}

/** A lease with some of its fields otherwise. */
const crafted = (leaseMs: number, flags: number, more = 0): Uint8Array =>
  seal(
    'lease',
    bytesOf((w) => {
      w.raw(new Uint8Array(16))
      w.varint(0)
      w.raw(new Uint8Array(16))
      w.varint(leaseMs)
      w.u8(flags)
      w.raw(new Uint8Array(more))
    }),
  )

describe('a lease', () => {
  test.each([false, true])('comes back from its bytes as it was; dead: %s', (isDead) => {
    expect(decodeLease(encodeLease({ ...lease, isDead }), 'it')).toEqual({ ...lease, isDead })
  })

  test('lies under the id of its member, where no shard has its anchor', () => {
    expect(leasePath('orders', lease.member)).toBe('orders/000102030405060708090a0b0c0d0e0f/anchor')
  })

  test('of flags to come is refused by name', () => {
    expect(() => decodeLease(crafted(1, 2), 'it')).toThrow(/it holds flags 2.*Use a newer one/)
  })

  test.each([
    ['no time', crafted(0, 0)],
    ['a time that no timer waits', crafted(2 ** 31, 0)],
    ['more bytes', crafted(1, 0, 1)],
    ['fewer bytes', seal('lease', new Uint8Array(20))],
    ['the bytes of an anchor', seal('anchor', new Uint8Array(35))],
  ])('of %s is damaged', (_, bytes) => {
    expect(() => decodeLease(bytes, 'it')).toThrow(expect.objectContaining({ code: 'CORRUPT' }) as Error)
  })
})
