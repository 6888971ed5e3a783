/**
 * State in the memory of the process, for tests and for stores that need not outlive it.
 *
 * - Each call does all its work in one turn of the event loop, and so is the transaction that create-once, swap and the trim
 *   guard need.
 * - Objects are never changed in place and never copied: the contract forbids both sides to change bytes that were passed.
 * - All handles on one `memory()` see one state. It is gone with the last reference to it.
 */
import type { Clock } from '../../src/clock.js'
import { throwIfAborted } from '../../src/errors.js'
import type { Answer, BlobInfo, CallOptions, Outcome, Storage } from '../../src/storage/contract.js'
import type { ObjectStore } from '../../src/storage/object-store.js'
import { overObjects } from '../../src/storage/objects.js'
import { LONG_TAIL, TAIL_BYTES } from '../../src/storage/tails.js'

/** Options of `memory`. */
export interface MemoryOptions {
  /**
   * Gives answers a `time`, as a storage with a clock of its own does.
   * @default none: answers have no time
   * @when Set it to test how a program behaves on a storage that tells the time, as S3 does.
   */
  readonly clock?: Clock | undefined
}

interface StoredObject {
  readonly bytes: Uint8Array
  readonly token: string
  readonly trim: number
  readonly time: number | undefined
}

/**
 * A storage that keeps everything in memory. Several stores may share it. For a test of what is in IndexedDB or R2 later, open
 * stores with `mode: 'shared'`, as they are there; otherwise a second opening takes the store over from the first.
 *
 * @throws `ABORTED` by calls whose signal had aborted before
 * @example
 *     const store = await openStore({ storage: memory(), name: 'orders' })
 */
export function memory({ clock }: MemoryOptions = {}): Storage {
  const objects = new Map<string, StoredObject>()
  let tokens = 0
  /** The keys in order, once somebody has asked for them. */
  let keys: string[] | undefined

  const answer = (): Answer => (clock === undefined ? {} : { time: clock.now() })
  const outcome = (of: 'committed' | 'lost'): Outcome & Answer => ({ outcome: of, ...answer() })

  function store(key: string, bytes: Uint8Array, trim = 0): void {
    if (!objects.has(key)) keys?.splice(firstAbove(keys, key, ''), 0, key)
    objects.set(key, { bytes, token: String(++tokens), trim, time: clock?.now() })
  }

  /** The objects whose keys begin with `prefix` and come after `after`, until as many, or as many bytes, are `enough`. */
  function select(prefix: string, after: string, enough: (count: number, size: number) => boolean) {
    keys ??= [...objects.keys()].sort()
    const items: (StoredObject & { readonly name: string })[] = []
    let size = 0
    for (let i = firstAbove(keys, after, prefix); i < keys.length; i++) {
      const name = keys[i] as string
      if (!name.startsWith(prefix)) break
      if (enough(items.length, size)) return { ...answer(), items, more: true }
      const object = objects.get(name) as StoredObject
      size += object.bytes.length
      items.push({ name, ...object })
    }
    return { ...answer(), items, more: false }
  }

  const memoryObjects: ObjectStore = {
    create: task((key, bytes, guard) => {
      if (objects.has(key) || (objects.get(guard.anchor)?.trim ?? 0) >= guard.n) return outcome('lost')
      store(key, bytes)
      return outcome('committed')
    }),
    swap: task((key, token, bytes, trim) => {
      if (objects.get(key)?.token !== token) return outcome('lost')
      store(key, bytes, trim)
      return { ...outcome('committed'), token: String(tokens) }
    }),
    put: task((key, bytes) => {
      store(key, bytes)
      return answer()
    }),
    get: task((key, options) => {
      const { bytes, token } = objects.get(key) ?? {}
      const range = options?.range
      return { ...answer(), bytes: range ? bytes?.subarray(range.offset, range.offset + range.length) : bytes, token }
    }),
    list: task((prefix, { after = '', limit }) => {
      const { items, ...rest } = select(prefix, after, (count) => count === limit)
      return { ...rest, items: items.map(({ name, bytes, time }): BlobInfo => ({ name, size: bytes.length, time })) }
    }),
    getAll: task((prefix, { after }) => select(prefix, after, (_, size) => size >= TAIL_BYTES)),
    delete: task((names) => {
      for (const name of names) if (objects.delete(name)) keys = undefined
      return answer()
    }),
  }
  return overObjects(memoryObjects, { name: 'memory', trim: 'create', tail: LONG_TAIL })
}

/** Makes a call of `run`, which takes one turn. A signal that has aborted ends it before, and never in the middle. */
function task<A extends unknown[], T>(run: (...args: A) => T): (...args: A) => Promise<T> {
  return async (...args) => {
    throwIfAborted((args.at(-1) as CallOptions | undefined)?.signal)
    return run(...args)
  }
}

/** The place of the first key that is at least `prefix` and above `after`, by bisection. */
function firstAbove(keys: readonly string[], after: string, prefix: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const key = keys[middle] as string
    if (key <= after || key < prefix) low = middle + 1
    else high = middle
  }
  return low
}
