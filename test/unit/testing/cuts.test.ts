import { expect, test } from 'vitest'
import { memory } from '../../../adapters/memory/index.js'
import { TidemarkError } from '../../../src/errors.js'
import type { Storage } from '../../../src/storage/contract.js'
import { cuts, worldOver, type CutsOptions } from '../../../src/testing/index.js'

const number = (n: number): Uint8Array => new Uint8Array([n])

/** Appends three entries and notes each that is committed; an error ends it. */
async function append(storage: Storage, notes: number[]): Promise<void> {
  const log = storage.log('s/0/id')
  for (let n = 1; n <= 3; n++) {
    const { outcome } = n === 1 ? await log.claim(n, number(n), 1) : await log.append(n, number(n), 1)
    if (outcome === 'unknown') throw new TidemarkError('UNKNOWN_OUTCOME', 'as told')
    notes.push(n)
  }
}

/** All entries that were noted are there, and there are no holes. */
async function verify(storage: Storage, notes: readonly number[]): Promise<void> {
  const { numbers } = await storage.log('s/0/id').list(1)
  expect(numbers).toEqual(numbers.map((_, i) => i + 1))
  expect(numbers.length).toBeGreaterThanOrEqual(notes.length)
}

const options: CutsOptions<number> = { makeWorld: worldOver(() => memory()), scenario: append, verify }

test('a scenario is cut at every call in all four ways, and verified each time', async () => {
  const seen: string[] = []
  const result = await cuts({
    ...options,
    async verify(storage, notes, cut) {
      await verify(storage, notes)
      const { numbers } = await storage.log('s/0/id').list(1)
      seen.push(`${cut ? `${cut.point.index} ${cut.way}` : 'whole'}: ${notes.length} noted, ${numbers.length} stored`)
    },
  })
  expect(result).toEqual({ points: 3, runs: 13, missed: 0 })
  expect(seen).toEqual([
    'whole: 3 noted, 3 stored',
    '0 never-sent: 0 noted, 0 stored',
    '0 reply-lost: 0 noted, 1 stored',
    '0 error-before: 0 noted, 0 stored',
    '0 error-after: 0 noted, 1 stored',
    '1 never-sent: 1 noted, 1 stored',
    '1 reply-lost: 1 noted, 2 stored',
    '1 error-before: 1 noted, 1 stored',
    '1 error-after: 1 noted, 2 stored',
    '2 never-sent: 2 noted, 2 stored',
    '2 reply-lost: 2 noted, 3 stored',
    '2 error-before: 2 noted, 2 stored',
    '2 error-after: 2 noted, 3 stored',
  ])
})

test('a scenario that notes before it knows is found out, by point and way', async () => {
  const eager = cuts({
    ...options,
    async scenario(storage, notes) {
      notes.push(1)
      await storage.log('s/0/id').claim(1, number(1), 1)
    },
  })
  await expect(eager).rejects.toThrow(/^Cut at call 0, log\.claim of s\/0\/id 1, never-sent: /)
})

test('a dead process sends nothing any more, also from what it does beside', async () => {
  await cuts({
    ...options,
    ways: ['never-sent', 'reply-lost'],
    async scenario(storage) {
      const { blobs } = storage
      await Promise.allSettled([
        blobs.put('s/0/id/seg/a', number(1)),
        Promise.resolve().then(() => blobs.put('s/0/id/seg/b', number(2))),
      ])
      await blobs.put('s/0/id/seg/c', number(3))
    },
    async verify({ blobs }, _, cut) {
      const names = (await blobs.list('')).items.map((item) => item.name.at(-1)).join('')
      expect(names).toBe(
        cut ? ['', 'a', 'ab'][cut.point.index]! + (cut.way === 'reply-lost' ? 'abc'[cut.point.index] : '') : 'abc',
      )
    },
  })
})

test('a scenario that hangs after an error, or fails with an untyped one, fails the run', async () => {
  const hangs = cuts({
    ...options,
    limitMs: 20,
    scenario: (storage) => storage.blobs.put('s/0/id/seg/a', number(1)).catch(() => new Promise(() => {})),
  })
  await expect(hangs).rejects.toThrow(/^Cut at call 0, blobs\.put of s\/0\/id\/seg\/a, error-before: Error: no end/)
  const untyped = cuts({
    ...options,
    scenario: (storage) =>
      storage.blobs.put('s/0/id/seg/a', number(1)).catch(() => {
        throw new TypeError('oops')
      }),
  })
  await expect(untyped).rejects.toThrow(/error-before: TypeError: oops$/)
})

test('a scenario that fails without any fault is said to', async () => {
  const broken = cuts({ ...options, scenario: () => Promise.reject(new TidemarkError('CLOSED', 'closed')) })
  await expect(broken).rejects.toThrow('Without any cut: TidemarkError: closed')
})

test('runs that end before their point are counted', async () => {
  let runs = 0
  const result = await cuts({
    ...options,
    ways: ['error-before'],
    async scenario(storage) {
      const first = runs++ === 0
      await storage.logs('')
      if (first) await storage.logs('')
    },
  })
  expect(result).toEqual({ points: 2, runs: 3, missed: 1 })
})
