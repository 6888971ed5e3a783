/** Promises about reading many entries of a log at once, of storages that do. */
import type { Log } from '../storage/contract.js'
import { check, equal, equalBytes, pattern, text, type Promised } from './assert.js'
import { PATH, committed, filled, trimTo } from './suite-log.js'

/** Whether nothing is there from a number on. */
async function ended(log: Log, from: number): Promise<boolean> {
  const { entries, more } = await log.readTail!(from)
  return entries.length === 0 && !more
}

export const tailTests: readonly Promised[] = [
  [
    'log: readTail answers the entries from a number on, ascending, to the last one',
    async (storage) => {
      const log = await filled(storage, 40)
      for (const handle of [log, storage.log(PATH)]) {
        if (!handle.readTail) return
        for (const from of [0, 1, 17, 40]) {
          const { entries, more } = await handle.readTail(from)
          const numbers = Array.from({ length: 41 - Math.max(from, 1) }, (_, i) => Math.max(from, 1) + i)
          equal(
            entries.map(({ n }) => n),
            numbers,
            `the numbers from ${from} on`,
          )
          for (const { n, bytes } of entries) equalBytes(bytes, text(`entry ${n}`), `entry ${n}`)
          equal(more, false, 'whether others follow')
        }
        for (const from of [41, 1_000]) equal(await ended(handle, from), true, `the end, from ${from} on`)
      }
      equal(await ended(storage.log('orders/1/id'), 1), true, 'the end of a log that was never written')
    },
  ],
  [
    'log: readTail answers some entries of many large ones, one at least, and says that others follow',
    async (storage) => {
      const log = await filled(storage, 1)
      if (!log.readTail) return
      const sizes = [
        300_000,
        300_000,
        1 << 20,
        17_000,
        17_000,
        (1 << 20) + 1,
        60_000,
        300_000,
        300_000,
        300_000,
        300_000,
      ]
      for (const [i, size] of sizes.entries())
        await committed(log.append(i + 2, pattern(size, i + 2), 1), `${size} bytes`)
      const reader = storage.log(PATH)
      let calls = 0
      let next = 2
      for (let more = true; more; calls++) {
        const read = await reader.readTail!(next)
        more = read.more
        let size = 0
        for (const { n, bytes } of read.entries) {
          equal(n, next++, 'the next number')
          equalBytes(bytes, pattern(sizes[n - 2]!, n), `entry ${n}`)
          size += bytes.length
        }
        check(size < 3 << 20, `one answer has ${size} bytes`)
      }
      equal(next, sizes.length + 2, 'the number after the last')
      check(calls > 1, 'all were answered at once')
    },
  ],
  [
    'log: readTail beside appends shows no hole, and leaves out what was removed',
    async (storage) => {
      const log = await filled(storage, 3)
      const reader = storage.log(PATH)
      if (!reader.readTail) return
      for (let n = 4, seen = 2; n <= 20; n++) {
        const appending = committed(log.append(n, text(`entry ${n}`), 4), `append of ${n}`)
        for (let i = 0; i < 3; i++) {
          const { entries } = await reader.readTail(2)
          for (const [at, entry] of entries.entries()) equal(entry.n, at + 2, 'the next number')
          check(entries.length >= seen, 'an entry that was there is missing')
          seen = entries.length
        }
        await appending
        seen = n - 1
      }
      await trimTo(storage, 3)
      await log.remove([1, 2, 3])
      for (const handle of [log, reader]) {
        const numbers = (await handle.readTail!(2)).entries.map(({ n }) => n)
        equal(numbers, [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20], 'what is left')
      }
    },
  ],
]
