import type { Log, Outcome, Storage } from '../storage/contract.js'
import { check, equal, equalAbsent, equalBytes, pattern, text, type Promised } from './assert.js'
import { race } from './race.js'

export const PATH = 'orders/0/id'

export async function committed(answer: Promise<Outcome>, what: string): Promise<void> {
  equal((await answer).outcome, 'committed', what)
}

export async function lost(answer: Promise<Outcome>, what: string): Promise<void> {
  equal((await answer).outcome, 'lost', what)
}

/** A handle that owns the log, with a fence at 1 and entries 2 … `upTo`. */
export async function filled(storage: Storage, upTo: number, path = PATH): Promise<Log> {
  const log = storage.log(path)
  await committed(log.claim(1, text('entry 1'), 1), 'a claim of a new log')
  for (let n = 2; n <= upTo; n++) await committed(log.append(n, text(`entry ${n}`), 1), `append of ${n}`)
  return log
}

/** Reads entries by a handle of its own, as another process would, and compares them. */
async function expectEntries(storage: Storage, from: number, to: number, path = PATH): Promise<void> {
  const reader = storage.log(path)
  for (let n = from; n <= to; n++) equalBytes((await reader.read(n)).bytes, text(`entry ${n}`), `entry ${n}`)
}

export async function trimTo(storage: Storage, trim: number): Promise<void> {
  const anchor = storage.anchor('orders/0/anchor')
  const { token } = await anchor.read()
  await committed(anchor.swap(token, text(`trim ${trim}`), trim), 'a swap of the anchor')
}

export const logTests: readonly Promised[] = [
  [
    'log: one that was never written has no entries, and reading it creates nothing',
    async (storage) => {
      const log = storage.log(PATH)
      equalAbsent((await log.read(1)).bytes, 'entry 1')
      equal((await log.list(1)).numbers, [], 'its entries')
      equal((await storage.logs('')).paths, [], 'the logs')
    },
  ],
  [
    'log: what was appended is read by every handle, at once and after close',
    async (storage) => {
      const log = await filled(storage, 10)
      await expectEntries(storage, 1, 10)
      equalAbsent((await log.read(11)).bytes, 'the entry after the last')
      await log.close()
      await expectEntries(storage, 1, 10)
    },
  ],
  [
    'log: entries of 1 byte and of 1 MiB read back byte for byte',
    async (storage) => {
      const log = await filled(storage, 1)
      const sizes = [1, 1 << 20, 4095, 70_000, 1]
      for (const [i, size] of sizes.entries())
        await committed(log.append(i + 2, pattern(size, i + 2), 1), `${size} bytes`)
      const reader = storage.log(PATH)
      for (const [i, size] of sizes.entries()) {
        equalBytes((await reader.read(i + 2)).bytes, pattern(size, i + 2), `an entry of ${size} bytes`)
      }
    },
  ],
  [
    'log: bytes passed in and bytes returned stay as they are while the log goes on',
    async (storage) => {
      const log = await filled(storage, 1)
      const given = pattern(500)
      await log.append(2, given, 1)
      const { bytes } = await log.read(2)
      for (let n = 3; n < 12; n++) {
        await log.append(n, pattern(500, n), 1)
        await log.read(n)
      }
      equalBytes(given, pattern(500), 'bytes passed in')
      equalBytes(bytes, pattern(500), 'bytes returned')
    },
  ],
  [
    'log: a number that is taken is lost to everybody else, and keeps its bytes',
    async (storage) => {
      await filled(storage, 3)
      const other = storage.log(PATH)
      await lost(other.claim(3, text('other'), 1), 'a claim of a number that is taken')
      await expectEntries(storage, 1, 3)
      await committed(other.claim(4, text('entry 4'), 1), 'a claim of the next number')
      await expectEntries(storage, 1, 4)
    },
  ],
  [
    'log: of 32 handles that claim one number at once exactly one commits, and its bytes are read',
    async (storage) => {
      const handles = Array.from({ length: 32 }, () => storage.log(PATH))
      const winner = await race(
        handles.map((_, i) => `claim ${i}`),
        (body, i) => handles[i]!.claim(1, body, 1),
        async () => (await storage.log(PATH).read(1)).bytes,
        'claims at once',
      )
      await committed(handles[winner]!.append(2, text('entry 2'), 1), 'an append by the one that committed')
    },
  ],
  [
    'log: a claim fences the former owner; its next append is lost',
    async (storage) => {
      const former = await filled(storage, 4)
      const owner = storage.log(PATH)
      await committed(owner.claim(5, text('entry 5'), 2), 'a claim by another handle')
      await lost(former.append(5, text('zombie'), 1), 'an append by the former owner')
      await committed(owner.append(6, text('entry 6'), 2), 'an append by the owner')
      await expectEntries(storage, 1, 6)
    },
  ],
  [
    'log: ownership may change many times; every entry stays where it is',
    async (storage) => {
      let n = 0
      for (let round = 0; round < 6; round++) {
        const log = storage.log(PATH)
        const from = Math.max(1, n - 2)
        await committed(log.claim(++n, text(`entry ${n}`), from), 'a claim')
        for (let i = 0; i < 3; i++) await committed(log.append(++n, text(`entry ${n}`), from), 'an append')
        if (round % 2) await log.close()
      }
      await expectEntries(storage, 1, n)
      equalAbsent((await storage.log(PATH).read(n + 1)).bytes, 'the entry after the last')
    },
  ],
  [
    'log: a read beside an append finds the whole entry or none',
    async (storage) => {
      const log = await filled(storage, 1)
      const reader = storage.log(PATH)
      for (let n = 2; n < 8; n++) {
        const bytes = pattern(50_000, n)
        const appending = log.append(n, bytes, 1)
        for (let i = 0; i < 3; i++) {
          const found = (await reader.read(n)).bytes
          if (found) equalBytes(found, bytes, 'an entry that is being appended')
        }
        await committed(appending, `append of ${n}`)
        equalBytes((await reader.read(n)).bytes, bytes, 'an entry that was appended')
      }
    },
  ],
  [
    'log: list answers the numbers that are present, ascending, from a number on',
    async (storage) => {
      const log = await filled(storage, 12)
      const numbers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
      equal((await log.list(1)).numbers, numbers, 'all')
      equal((await log.list(0)).numbers, numbers, 'from 0')
      equal((await storage.log(PATH).list(9)).numbers, [9, 10, 11, 12], 'from 9')
      equal((await log.list(2, { limit: 3 })).numbers, [2, 3, 4], 'three from 2')
      equal((await log.list(13)).numbers, [], 'from beyond the end')
    },
  ],
  [
    'log: removed entries are absent; one that is absent counts as removed; the others stay',
    async (storage) => {
      const log = await filled(storage, 6)
      await committed(log.append(7, text('entry 7'), 4), 'append of 7')
      await trimTo(storage, 3)
      await log.remove([1, 2, 3])
      await log.remove([2])
      await log.remove([])
      for (const n of [1, 2, 3]) equalAbsent((await log.read(n)).bytes, `entry ${n}`)
      equal((await log.list(1)).numbers, [4, 5, 6, 7], 'what is left')
      await expectEntries(storage, 4, 7)
      await committed(log.append(8, text('entry 8'), 4), 'the next append')
    },
  ],
  [
    'log: relaxed durability keeps the same promises while the machine runs, and sync resolves',
    async (storage) => {
      const log = storage.log(PATH, { durability: 'relaxed' })
      await committed(log.claim(1, text('entry 1'), 1), 'a claim')
      for (let n = 2; n <= 20; n++) await committed(log.append(n, text(`entry ${n}`), 1), `append of ${n}`)
      await log.sync()
      await expectEntries(storage, 1, 20)
      await log.close()
      const strict = await filled(storage, 2, 'orders/1/id')
      await strict.sync()
    },
  ],
  [
    'log: logs of neighbouring names have nothing in common',
    async (storage) => {
      const paths = ['a/0/id', 'a/0/id-2', 'a/0/i', 'a/1/id', 'a-b/0/id']
      const logs = await Promise.all(paths.map((path, i) => filled(storage, i + 1, path)))
      for (const [i, log] of logs.entries()) {
        const expected = Array.from({ length: i + 1 }, (_, n) => n + 1)
        equal((await log.list(1)).numbers, expected, `the entries of ${paths[i]}`)
      }
      await logs[1]!.destroy()
      equal((await logs[0]!.list(1)).numbers, [1], 'the entries of a log beside a destroyed one')
    },
  ],
  [
    'log: destroyed it is gone, the blobs beside it are not, and destroying it again does no harm',
    async (storage) => {
      const log = await filled(storage, 5)
      await storage.blobs.put(`${PATH}/seg/a`, text('kept'))
      await log.destroy()
      await log.close()
      const again = storage.log(PATH)
      equalAbsent((await again.read(5)).bytes, 'an entry of a destroyed log')
      equal((await again.list(1)).numbers, [], 'its entries')
      equal((await storage.logs('')).paths, [], 'the logs')
      equalBytes((await storage.blobs.get(`${PATH}/seg/a`)).bytes, text('kept'), 'a blob beside it')
      await again.destroy()
    },
  ],
  [
    'logs: answers the paths under a prefix that hold entries, ascending',
    async (storage) => {
      const paths = ['a/0/one', 'a/0/two', 'a/1/one', 'a-b/0/one', 'b/0/one']
      for (const path of paths) {
        const log = await filled(storage, 3, path)
        await storage.blobs.put(`${path}/seg/s`, text('s'))
        await log.close()
      }
      await storage.blobs.put('c/0/only-blobs/seg/s', text('s'))
      await storage.anchor('a/0/anchor').swap(undefined, text('anchor'), 0)
      equal((await storage.logs('')).paths, paths.toSorted(), 'all logs')
      equal((await storage.logs('a/')).paths, ['a/0/one', 'a/0/two', 'a/1/one'], 'the logs of one store')
      equal((await storage.logs('a/0/')).paths, ['a/0/one', 'a/0/two'], 'the logs of one shard')
      equal((await storage.logs('c/')).paths, [], 'the logs where there are only blobs')
    },
  ],
  [
    'log: close is idempotent, with and without use',
    async (storage) => {
      const log = await filled(storage, 1)
      const unused = storage.log(PATH)
      for (const handle of [log, unused]) {
        await handle.close()
        await handle.close()
      }
    },
  ],
  [
    "trim 'create': no entry is created up to the number that the anchor says is trimmed",
    async (storage) => {
      if (storage.capabilities.trim !== 'create') return
      const log = await filled(storage, 2)
      await trimTo(storage, 5)
      for (const n of [3, 5]) {
        await lost(log.append(n, text('late'), 1), `an append of ${n}`)
        equalAbsent((await log.read(n)).bytes, `entry ${n}`)
      }
      await committed(log.append(6, text('entry 6'), 6), 'an append after it')
      const neighbour = storage.log('orders/1/id')
      await committed(neighbour.claim(1, text('entry 1'), 1), 'a claim in another shard')
      check((await neighbour.read(1)).bytes, 'the trim number of one shard holds for that shard only')
    },
  ],
]
