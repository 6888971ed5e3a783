/**
 * Objects with conditional writes in the keys of a Durable Object that is not backed by SQLite.
 *
 * - The head of an object lies under its name, with the bytes of a small one. The parts of a larger one have the token of their
 *   head in their keys, so that a reader never takes parts of two states for one.
 * - A write is one transaction of the storage, during which no other write of any handle in the object runs.
 */
import { toHex } from '../../src/bytes/hex.js'
import { systemClock } from '../../src/clock.js'
import type { ByteRange } from '../../src/storage/contract.js'
import type { ObjectStore } from '../../src/storage/object-store.js'
import { TAIL_BYTES } from '../../src/storage/tails.js'
import type { DurableObjectStorageLike, KeyValueLike } from './binding.js'
import { callsTo } from './calls.js'
import { countParts, divide, fromHead, fromParts, HEADS_AT_ONCE, incomplete, partsIn, span } from './parts.js'

/** Heads and parts are told apart from each other, and from other keys of the object. */
const HEADS = 'tidemark/objects/'
const PARTS = 'tidemark/parts/'
/** The most keys that one call takes. */
const KEYS_AT_ONCE = 128

interface Head {
  readonly size: number
  readonly token: string
  /** That of an anchor; 0 for all other objects. */
  readonly trim: number
  /** All bytes of a small object. A larger one has parts. */
  readonly within: Uint8Array | null
}

export function keyValueObjects(storage: DurableObjectStorageLike, prefix: string): ObjectStore {
  const calls = callsTo(storage)
  const headKey = (key: string): string => `${HEADS}${prefix}${key}`

  /** Writes an object in place of `old`. */
  async function write(to: KeyValueLike, key: string, bytes: Uint8Array, old: Head | undefined, trim = 0) {
    const { within, parts } = divide(bytes)
    const token = toHex(systemClock.random(16))
    const head: Head = { size: bytes.length, token, trim, within }
    const entries: [string, unknown][] = [[headKey(key), head]]
    for (const [i, part] of parts.entries()) entries.push([partKey(prefix + key, token, i), part])
    if (old) await inPages(partKeys(prefix + key, old), (keys) => to.delete(keys))
    await inPages(entries, (page) => to.put(Object.fromEntries(page)))
    return { token }
  }

  /** The bytes of an object, or of a range of it; `undefined` when parts are missing, as after a deletion. */
  async function bytesOf(name: string, head: Head, range?: ByteRange): Promise<Uint8Array | undefined> {
    if (head.within) return fromHead(head.within, range)
    const [first, end] = partsIn(head.size, range)
    const parts: Uint8Array[] = []
    await inPages(partKeys(name, head, first, end), async (keys) => {
      const found = await storage.get(keys)
      for (const key of keys) if (found.has(key)) parts.push(found.get(key) as Uint8Array)
    })
    return parts.length === end - first ? fromParts(parts, first, head.size, range) : undefined
  }

  async function get(key: string, range?: ByteRange): Promise<Awaited<ReturnType<ObjectStore['get']>>> {
    for (let before: string | undefined; ;) {
      const head = await headIn(storage, headKey(key))
      if (head === undefined) return { bytes: undefined, token: undefined }
      const bytes = await bytesOf(prefix + key, head, range)
      if (bytes) return { bytes, token: head.token }
      // It was replaced or deleted between the two reads, unless its head stays.
      if (before === head.token) throw incomplete(key)
      before = head.token
    }
  }

  async function heads(within: string, after: string | undefined, limit: number): Promise<[string, Head][]> {
    const keys = span(headKey(within), after === undefined ? undefined : headKey(after))
    const found = await storage.list({ ...keys, limit })
    return [...found].map(([key, head]) => [key.slice(headKey('').length), head as Head])
  }

  return {
    create: (key, bytes, guard, options) =>
      calls.once(`create ${key}`, options, (applied) =>
        storage.transaction(async (transaction) => {
          const found = await transaction.get([headKey(key), headKey(guard.anchor)])
          const anchor = found.get(headKey(guard.anchor)) as Head | undefined
          if (found.has(headKey(key)) || (anchor?.trim ?? 0) >= guard.n) return 'lost'
          const written = await write(transaction, key, bytes, undefined)
          applied()
          return written
        }),
      ),
    swap: (key, token, bytes, trim, options) =>
      calls.once(`replace ${key}`, options, (applied) =>
        storage.transaction(async (transaction) => {
          const old = await headIn(transaction, headKey(key))
          if (old?.token !== token) return 'lost'
          const written = await write(transaction, key, bytes, old, trim)
          applied()
          return written
        }),
      ),
    put: (key, bytes, options) =>
      calls.repeat(`write ${key}`, options, () =>
        storage.transaction(async (transaction) => {
          await write(transaction, key, bytes, await headIn(transaction, headKey(key)))
        }),
      ),
    get: (key, options) => calls.read(`read ${key}`, options, () => get(key, options?.range)),
    list: (within, { after, limit, signal }) =>
      calls.read(`list ${within}`, { signal }, async () => {
        const items: { name: string; size: number }[] = []
        // Heads come with the bytes of small objects, so that not all are read at once.
        for (let last = after; ;) {
          const page = await heads(within, last, HEADS_AT_ONCE)
          for (const [name, { size }] of page) items.push({ name, size })
          if (items.length > limit) return { items: items.slice(0, limit), more: true }
          if (page.length < HEADS_AT_ONCE) return { items, more: false }
          last = items.at(-1)?.name
        }
      }),
    getAll: (within, { after, signal }) =>
      calls.read(`read ${within}`, { signal }, async () => {
        const page = await heads(within, after, HEADS_AT_ONCE)
        const items: { name: string; bytes: Uint8Array }[] = []
        let size = 0
        for (const [name, head] of page) {
          if (size >= TAIL_BYTES) return { items, more: true }
          const bytes = (await bytesOf(prefix + name, head)) ?? (await get(name)).bytes
          // One that was removed meanwhile is left out.
          if (bytes) items.push({ name, bytes })
          size += head.size
        }
        return { items, more: page.length === HEADS_AT_ONCE }
      }),
    delete: (keys, options) =>
      calls.repeat(`delete ${keys[0] ?? ''}`, options, () =>
        storage.transaction((transaction) =>
          inPages(keys, async (page) => {
            const found = await transaction.get(page.map(headKey))
            const all = page.flatMap((key) => {
              const head = found.get(headKey(key)) as Head | undefined
              return head ? [headKey(key), ...partKeys(prefix + key, head)] : []
            })
            await inPages(all, (some) => transaction.delete(some))
          }),
        ),
      ),
  }
}

async function headIn(keys: KeyValueLike, key: string): Promise<Head | undefined> {
  return (await keys.get([key])).get(key) as Head | undefined
}

const partKey = (name: string, token: string, part: number): string => `${PARTS}${name}/${token}/${part}`

/** The keys of the parts of an object, from `first` up to and without `end`. */
function partKeys(name: string, { size, token, within }: Head, first = 0, end = countParts(size)): string[] {
  return within ? [] : Array.from({ length: end - first }, (_, i) => partKey(name, token, first + i))
}

/** Calls `act` with as many of them as one call takes. */
async function inPages<T>(all: readonly T[], act: (page: T[]) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < all.length; at += KEYS_AT_ONCE) await act(all.slice(at, at + KEYS_AT_ONCE))
}
