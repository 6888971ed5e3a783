/** Promises about logs that begin with a later number than 1, and about the folders and anchors of a store of several shards. */
import type { Storage } from '../storage/contract.js'
import { equal, equalAbsent, equalBytes, text, type Promised } from './assert.js'
import { race } from './race.js'
import { committed, lost } from './suite-log.js'

/** Names as those of logs, shards and members are: 32 hex digits. */
const A = 'orders/0a1b2c3d4e5f60718293a4b5c6d7e8f9'
const B = 'orders/ffffffffffffffffffffffffffffffff'
const LOG_A = `${A}/0a1b2c3d4e5f60718293a4b5c6d7e8f9`
const LOG_B = `${B}/ffffffffffffffffffffffffffffffff`
const LEASE = 'orders/5555555555555555aaaaaaaaaaaaaaaa/anchor'

/** A log that begins with 7 and goes on to 9, by two owners. */
async function fromSeven(storage: Storage, path = LOG_A): Promise<void> {
  const creator = storage.log(path)
  await committed(creator.claim(7, text('entry 7'), 7), 'a claim of 7 in a log without entries')
  await committed(creator.append(8, text('entry 8'), 7), 'append of 8')
  await committed(storage.log(path).claim(9, text('entry 9'), 7), 'a claim by another handle')
}

async function swap(storage: Storage, path: string, body: string, trim: number): Promise<void> {
  const anchor = storage.anchor(path)
  const { token } = await anchor.read()
  await committed(anchor.swap(token, text(body), trim), `a swap of ${path}`)
}

export const shardTests: readonly Promised[] = [
  [
    'log: one that has no entry begins with any number, if nothing before that is needed',
    async (storage) => {
      await fromSeven(storage)
      const log = storage.log(LOG_A)
      for (const n of [1, 6, 10]) equalAbsent((await log.read(n)).bytes, `entry ${n}`)
      for (const n of [7, 8, 9]) equalBytes((await log.read(n)).bytes, text(`entry ${n}`), `entry ${n}`)
      for (const from of [0, 1, 6, 7]) equal((await log.list(from)).numbers, [7, 8, 9], `the numbers from ${from} on`)
      equal((await log.list(1, { limit: 1 })).numbers, [7], 'the first number')
      equal((await storage.logs('orders/')).paths, [LOG_A], 'the logs')
      for (const from of log.readTail ? [0, 1, 7, 8] : []) {
        const { entries, more } = await log.readTail!(from)
        const numbers = entries.map(({ n }) => n)
        equal([...numbers, more], [...[7, 8, 9].slice(Math.max(from, 7) - 7), false], `the tail from ${from} on`)
      }
    },
  ],
  [
    'log: a first number that is taken is lost to everybody else, and keeps its bytes',
    async (storage) => {
      await fromSeven(storage)
      const late = storage.log(LOG_A)
      await lost(late.claim(7, text('late'), 7), 'a claim of the first number')
      equalBytes((await storage.log(LOG_A).read(7)).bytes, text('entry 7'), 'entry 7')
      await committed(late.claim(10, text('entry 10'), 7), 'a claim of the next number')
      equal((await storage.log(LOG_A).list(1)).numbers, [7, 8, 9, 10], 'the numbers')
    },
  ],
  [
    'log: of 16 handles that begin a log with one number at once exactly one commits, and its bytes are read',
    async (storage) => {
      const handles = Array.from({ length: 16 }, () => storage.log(LOG_A))
      const winner = await race(
        handles.map((_, i) => `first ${i}`),
        (body, i) => handles[i]!.claim(900, body, 900),
        async () => (await storage.log(LOG_A).read(900)).bytes,
        'claims of a first number at once',
      )
      await committed(handles[winner]!.append(901, text('entry 901'), 900), 'an append by the one that committed')
      equal((await storage.log(LOG_A).list(1)).numbers, [900, 901], 'the numbers')
    },
  ],
  [
    'log: one that begins with a later number is trimmed and destroyed as any other',
    async (storage) => {
      const log = storage.log(LOG_A)
      await swap(storage, `${A}/anchor`, 'trim 6', 6)
      await committed(log.claim(7, text('entry 7'), 7), 'a claim of 7 under an anchor that says 6')
      for (const n of [8, 9, 10]) await committed(log.append(n, text(`entry ${n}`), 9), `append of ${n}`)
      await swap(storage, `${A}/anchor`, 'trim 8', 8)
      await log.remove([1, 6, 7, 8])
      for (const handle of [log, storage.log(LOG_A)]) {
        equal((await handle.list(1)).numbers, [9, 10], 'what is left')
        for (const n of [7, 8]) equalAbsent((await handle.read(n)).bytes, `entry ${n}`)
        equalBytes((await handle.read(9)).bytes, text('entry 9'), 'entry 9')
      }
      await log.destroy()
      equal((await storage.log(LOG_A).list(1)).numbers, [], 'the entries of a destroyed log')
      equal((await storage.logs('')).paths, [], 'the logs')
    },
  ],
  [
    'shards: logs lie side by side under one store, and each is found under its own folder',
    async (storage) => {
      await fromSeven(storage, LOG_A)
      await fromSeven(storage, LOG_B)
      const root = storage.log('orders/0/0123456789abcdef0123456789abcdef')
      await committed(root.claim(1, text('entry 1'), 1), 'a claim of the root')
      await storage.blobs.put(`${LOG_A}/seg/s`, text('a'))
      await storage.blobs.put(`${LOG_B}/seg/s`, text('b'))
      const paths = ['orders/0/0123456789abcdef0123456789abcdef', LOG_A, LOG_B]
      equal((await storage.logs('orders/')).paths, paths, 'the logs of the store')
      equal((await storage.logs(`${A}/`)).paths, [LOG_A], 'the logs of one shard')
      const names = (await storage.blobs.list('orders/')).items.map(({ name }) => name)
      equal(names, [`${LOG_A}/seg/s`, `${LOG_B}/seg/s`], 'the blobs of the store')
      await storage.log(LOG_A).destroy()
      equal((await storage.log(LOG_B).list(1)).numbers, [7, 8, 9], 'the entries of the shard beside a destroyed one')
    },
  ],
  [
    'shards: an anchor without a log beside it is read and swapped, and is no log',
    async (storage) => {
      await swap(storage, LEASE, 'alive', 0)
      await swap(storage, LEASE, 'alive still', 0)
      equalBytes((await storage.anchor(LEASE).read()).bytes, text('alive still'), 'the lease')
      equal((await storage.logs('')).paths, [], 'the logs')
      equal((await storage.blobs.list('')).items, [], 'the blobs')
      await storage.anchor(LEASE).remove()
      equalAbsent((await storage.anchor(LEASE).read()).bytes, 'a lease that was removed')
    },
  ],
  [
    "trim 'create': an anchor guards the logs of its own folder, and no others",
    async (storage) => {
      if (storage.capabilities.trim !== 'create') return
      await swap(storage, `${A}/anchor`, 'trim 6', 6)
      await swap(storage, `${B}/anchor`, 'trim 9', 9)
      await swap(storage, LEASE, 'alive', 0)
      await lost(storage.log(LOG_A).claim(6, text('late'), 6), 'a claim of what is trimmed')
      await lost(storage.log(LOG_B).claim(9, text('late'), 9), 'a claim of what is trimmed beside it')
      await committed(storage.log(LOG_A).claim(7, text('entry 7'), 7), 'a claim behind what is trimmed')
      await committed(storage.log(LOG_B).claim(10, text('entry 10'), 10), 'a claim behind that beside it')
      const root = storage.log('orders/0/0123456789abcdef0123456789abcdef')
      await committed(root.claim(1, text('entry 1'), 1), 'a claim under the root, which has no anchor')
    },
  ],
]
