/** Reading on in a log: which requests it takes, and what it finds. */
import { expect, test } from 'vitest'
import { memory } from 'tidemark/memory'
import { tailOf } from '../../../src/log/tail.js'
import { intercept } from '../../../src/storage/intercept.js'
import type { Log } from '../../../src/storage/contract.js'
import { byEntry } from '../../support/by-entry.js'

/** A log with so many entries, and the numbers that are asked for; where each is a request unless it `isWhole`. */
async function logOf(count: number, { isWhole = false, missing = [] as number[] } = {}) {
  const asked: string[] = []
  const storage = intercept(memory(), ({ method, target, n }, run) => {
    if (target === 'log' && method !== 'append') asked.push(`${method} ${n}`)
    return run(undefined)
  })
  const log = storage.log('s/0/id')
  for (let n = 1; n <= count; n++) await log.append(n, new Uint8Array([n]), 1)
  await log.remove(missing)
  asked.length = 0
  return { log: isWhole ? log : byEntry(log), asked }
}

async function numbersOf(log: Log, from: number, known?: number): Promise<number[]> {
  const numbers: number[] = []
  for await (const { entries } of tailOf(log, from, known)) {
    for (const { n, bytes } of entries) {
      expect(bytes).toEqual(new Uint8Array([n]))
      numbers.push(n)
    }
  }
  return numbers
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const reads = (from: number, to: number): string[] => range(from, to).map((n) => `read ${n}`)

test('where the whole tail is one read it is asked for once', async () => {
  const { log, asked } = await logOf(60, { isWhole: true })
  expect(await numbersOf(log, 11)).toEqual(range(11, 60))
  expect(await numbersOf(log, 61, 70)).toEqual([])
  expect(asked).toEqual(['readTail 11', 'readTail 61'])
})

test('where each entry is a request, one is asked for when probably none is there', async () => {
  const { log, asked } = await logOf(5)
  expect(await numbersOf(log, 6)).toEqual([])
  expect(asked.splice(0)).toEqual(['read 6'])
  expect(await numbersOf(log, 5)).toEqual([5])
  expect(asked.splice(0)).toEqual(['read 5', 'read 6', 'read 7'])
  expect(await numbersOf(log, 4)).toEqual([4, 5])
  expect(asked).toEqual(['read 4', 'read 5', 'read 6'])
})

test('150 entries behind are one list and 150 reads', async () => {
  const { log, asked } = await logOf(150)
  expect(await numbersOf(log, 1)).toEqual(range(1, 150))
  expect(asked).toEqual([...reads(1, 3), 'list 4', ...reads(4, 150)])
})

test('what is known to be there is read while the rest is listed', async () => {
  const { log, asked } = await logOf(9)
  expect(await numbersOf(log, 4, 6)).toEqual(range(4, 9))
  expect(asked.splice(0).toSorted()).toEqual(['list 7', ...reads(4, 9)])
  expect(await numbersOf(log, 4, 9)).toEqual(range(4, 9))
  expect(asked.toSorted()).toEqual(['list 10', ...reads(4, 9)])
})

test('no more than 16 are read at once, nor a thousand listed', async () => {
  const { log } = await logOf(2_500)
  let running = 0
  let most = 0
  const lists: number[] = []
  const counting: Log = {
    ...log,
    async read(n) {
      most = Math.max(most, ++running)
      const answer = await log.read(n)
      running--
      return { ...answer, bytes: answer.bytes && new Uint8Array([n]) }
    },
    list(from, options) {
      lists.push(from)
      return log.list(from, options)
    },
  }
  expect(await numbersOf(counting, 1, 400)).toEqual(range(1, 2_500))
  expect([most, lists]).toEqual([16, [17, 1017, 2017]])
})

test.each([true, false])('a hole is a number that is left out, read together: %s', async (isWhole) => {
  const { log } = await logOf(30, { isWhole, missing: [12, 13] })
  expect(await numbersOf(log, 8, 10)).toEqual([8, 9, 10, 11, ...range(14, 30)])
  expect(await numbersOf(log, 11, 12)).toEqual([11, ...range(14, 30)])
})

test('a number that is gone when it is read, and was listed, is left out', async () => {
  const { log } = await logOf(9)
  const racing: Log = { ...log, read: (n) => (n === 7 ? Promise.resolve({ bytes: undefined }) : log.read(n)) }
  expect(await numbersOf(racing, 4, 4)).toEqual([4, 5, 6, 8, 9])
})
