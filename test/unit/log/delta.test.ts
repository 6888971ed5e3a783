import { expect, test } from 'vitest'
import * as pure from '../../../src/bytes/pure.js'
import { memtableOfDelta, type Memtable } from '../../../src/engine/memtable.js'
import { storedDelta } from '../../../src/engine/stored-delta.js'
import { TidemarkError } from '../../../src/errors.js'
import { decodeDelta } from '../../../src/log/delta.js'
import type { Platform } from '../../../src/storage/platform.js'
import { Random } from '../../../src/testing/random.js'

const WHAT = 'The delta'

function memtableOf(values: readonly Uint8Array[]): Memtable {
  const changes = values.map((value, i) => ({ type: 'put' as const, key: Uint8Array.of(0x30, i), value, expires: 0 }))
  return memtableOfDelta([{ partition: 0, table: new Uint8Array(0), codec: 'json', changes }])
}

const alike = (count: number): Memtable =>
  memtableOf(Array.from({ length: count }, (_, i) => new TextEncoder().encode(`{"name":"customer ${i}"}`)))
const stored = async (memtable: Memtable, deflates: boolean, platform: Platform = pure): Promise<Uint8Array> =>
  (await storedDelta({ platform, deflates }, memtable))!

test('a delta that goes over a network is compressed, and says the same', async () => {
  const memtable = alike(100)
  const [plain, sent] = [await stored(memtable, false), await stored(memtable, true)]
  expect(plain[0]).toBe(0)
  expect(sent.length).toBeLessThan(plain.length / 3)
  const groups = await decodeDelta(pure, plain, WHAT)
  expect(groups[0]!.changes).toHaveLength(100)
  expect(await decodeDelta(pure, sent, WHAT)).toEqual(groups)
})

test('it stays as it is when it is small, when that makes it no shorter, and when it cannot be compressed', async () => {
  const random = new Random(1)
  const noise = memtableOf([Uint8Array.from({ length: 4_000 }, () => random.below(256))])
  const failing: Platform = { ...pure, deflate: () => Promise.reject(new Error('It was taken away.')) }
  for (const [memtable, platform] of [
    [alike(20), pure],
    [noise, pure],
    [alike(100), failing],
  ] as const) {
    expect(await stored(memtable, true, platform)).toEqual(await stored(memtable, false))
  }
})

test('what does not inflate to the length that it says is damaged, unless inflating could not be tried', async () => {
  const sent = await stored(alike(100), true)
  const shorter = sent.slice()
  shorter[0]! ^= 1
  for (const bytes of [shorter, sent.subarray(0, -5)]) {
    await expect(decodeDelta(pure, bytes, WHAT)).rejects.toMatchObject({ code: 'CORRUPT' })
  }
  const unable: Platform = {
    ...pure,
    inflate: () => Promise.reject(new TidemarkError('STORAGE_UNAVAILABLE', 'A part is missing.')),
  }
  await expect(decodeDelta(unable, sent, WHAT)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
})
