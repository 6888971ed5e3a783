/** Objects with conditional writes in IndexedDB. Everything is encoded before a transaction opens, as it would end meanwhile. */
import { toHex } from '../../src/bytes/hex.js'
import type { Clock } from '../../src/clock.js'
import { corrupt } from '../../src/errors.js'
import type { Answer, CallOptions, Outcome } from '../../src/storage/contract.js'
import type { ObjectStore } from '../../src/storage/object-store.js'
import { TAIL_BYTES } from '../../src/storage/tails.js'
import type { Connection } from './connection.js'
import { nameOf, Uncertain } from './errors.js'
import { RecentParts } from './recent.js'
import { answer } from './requests.js'
import { divide, fromParts, keysAfter, partsIn, partsOf, type Head } from './schema.js'
import { transactions, type TransactOptions } from './transact.js'

/** The name of the error by which the browser refuses to create what is there. */
const TAKEN = 'ConstraintError'
/** How many heads are read at once, of which each may have some KiB of bytes. */
const HEADS_AT_ONCE = 256

export interface Objects extends ObjectStore {
  /** Makes writes in relaxed durability durable. */
  readonly sync: (options?: CallOptions) => Promise<Answer>
}

export function idbObjects(connection: Connection, options: TransactOptions): Objects {
  const { clock } = connection
  const { read, repeat, once } = transactions(connection, options)
  const recent = new RecentParts()

  return {
    create: (key, bytes, guard, o) => {
      const made = encode(clock, key, bytes)
      return outcome(
        once(o, async (tx): Promise<'committed'> => {
          const objects = tx.objectStore('objects')
          // All is asked at once. Where the number is trimmed the transaction is given up, as by an entry that is there.
          const reading = answer<Head | undefined>(objects.get(guard.anchor))
          const writing = [answer(objects.add(made.head)), ...putParts(tx, made)]
          if (((await reading)?.trim ?? 0) >= guard.n) throw new DOMException('', TAKEN)
          await Promise.all(writing)
          return 'committed'
        }),
      )
    },
    swap: (key, token, bytes, trim, o) => {
      const made = encode(clock, key, bytes, trim)
      return outcome(
        once(o, async (tx) => {
          const present = await answer<Head | undefined>(tx.objectStore('objects').get(key))
          if (present?.token !== token) return 'lost'
          await replace(tx, made)
          return 'committed'
        }),
        made.head.token,
      )
    },
    put: (key, bytes, o) => {
      const made = encode(clock, key, bytes)
      return repeat(o, async (tx) => {
        await replace(tx, made)
        return {}
      })
    },
    get: async (key, o) => {
      const wanted = o?.range && partsIn(o.range)
      const held = wanted && recent.find(key, ...wanted)
      if (held) return answerOf(...held, o)
      const [first, last] = wanted ? recent.ahead(key, ...wanted) : [0, Infinity]
      return read(o, async (tx) => {
        const [head, parts] = await Promise.all([
          answer<Head | undefined>(tx.objectStore('objects').get(key)),
          answer<Uint8Array[]>(tx.objectStore('parts').getAll(partsOf(key, first, last))),
        ])
        if (head === undefined) return { bytes: undefined, token: undefined }
        if (wanted && parts[0]) recent.keep(head, first, parts)
        return answerOf(head, parts, first, o)
      })
    },
    list: (prefix, { after, limit, signal }) =>
      read({ signal }, async (tx) => {
        const keys = keysAfter(prefix, after)
        const heads = await headsIn(tx, keys, limit + 1)
        const items = heads.slice(0, limit).map(({ name, size }) => ({ name, size }))
        return { items, more: heads.length > limit }
      }),
    getAll: (prefix, { after, signal }) =>
      read({ signal }, async (tx) => {
        const keys = keysAfter(prefix, after)
        const heads = await headsIn(tx, keys, HEADS_AT_ONCE)
        let size = 0
        const taken = heads.findIndex((head) => (size += head.size) >= TAIL_BYTES) + 1 || heads.length
        const some = heads.slice(0, taken)
        const parts = tx.objectStore('parts')
        const items = await Promise.all(
          some.map(async (head) => {
            const own = head.within ? [] : await answer<Uint8Array[]>(parts.getAll(partsOf(head.name)))
            return { name: head.name, bytes: answerOf(head, own, 0).bytes! }
          }),
        )
        return { items, more: taken < heads.length || heads.length === HEADS_AT_ONCE }
      }),
    delete: (keys, o) => {
      recent.clear()
      return repeat(o, async (tx) => {
        const objects = tx.objectStore('objects')
        const parts = tx.objectStore('parts')
        await Promise.all(keys.flatMap((key) => [answer(objects.delete(key)), answer(parts.delete(partsOf(key)))]))
        return {}
      })
    },
    // A strict transaction flushes all that came before it, but only if it writes something itself.
    sync: (o) =>
      repeat(o, async (tx) => {
        await answer(tx.objectStore('about').put(toHex(clock.random(16)), 'synced'))
        return {}
      }),
  }
}

type Got = Awaited<ReturnType<ObjectStore['get']>>

/** The answer to a get, out of the parts from number `first` on that hold the range. */
function answerOf(head: Head, parts: readonly Uint8Array[], first: number, o?: Parameters<ObjectStore['get']>[1]): Got {
  const bytes = fromParts(head.within ? [head.within] : parts, first, head.size, o?.range)
  if (bytes === undefined) throw corrupt(`${head.name}: the database lacks a part of it. Restore it from a copy.`)
  return { bytes, token: head.token }
}

async function headsIn(tx: IDBTransaction, keys: IDBKeyRange | undefined, most: number): Promise<readonly Head[]> {
  return keys === undefined ? [] : answer<Head[]>(tx.objectStore('objects').getAll(keys, most))
}

interface Encoded {
  readonly head: Head
  readonly parts: readonly Uint8Array[]
}

function encode(clock: Clock, name: string, bytes: Uint8Array, trim = 0): Encoded {
  const { parts, ...within } = divide(bytes)
  return { head: { name, size: bytes.length, token: toHex(clock.random(16)), trim, ...within }, parts }
}

function putParts(tx: IDBTransaction, { head, parts }: Encoded): Promise<unknown>[] {
  const store = tx.objectStore('parts')
  return parts.map((part, i) => answer(store.put(part, [head.name, i])))
}

async function replace(tx: IDBTransaction, made: Encoded): Promise<void> {
  const { head, parts } = made
  await Promise.all([
    answer(tx.objectStore('objects').put(head)),
    answer(tx.objectStore('parts').delete(partsOf(head.name, parts.length))),
    ...putParts(tx, made),
  ])
}

async function outcome(done: Promise<'committed' | 'lost'>, token?: string): Promise<Outcome> {
  try {
    return { outcome: await done, token }
  } catch (error) {
    if (error instanceof Uncertain) return { outcome: 'unknown', settle: true, cause: error.cause }
    if (nameOf((error as Error).cause) === TAKEN) return { outcome: 'lost' }
    throw error
  }
}
