/**
 * Log and anchor built on any store of objects that has conditional writes: S3, R2, IndexedDB, memory.
 *
 * - Entry n of the log `path` is the object `<path>/log/<n as 16 decimal digits>`, so that the order of names is the
 *   order of numbers. Anchors and blobs are objects under their own names.
 * - Numbers come from create-once alone: there is no owner here, a claim is an append. The fence takes the number that
 *   the former owner would append next, and that is all it takes.
 * - Nothing is kept in memory: two handles on one path, in one process or in two, are the same thing.
 * - Lists and deletions are loaded when they are first needed (listing.ts): to collect, and to find losses.
 */
import { Part } from '../part.js'
import type { Anchor, Capabilities, Log, Storage } from './contract.js'
import { entryKey, type ObjectStore } from './object-store.js'

const listing = new Part(() => import('./listing.js'))

/**
 * Makes a storage of objects with conditional writes. An adapter that can do more spreads the result, and replaces a part.
 *
 * Its calls throw and answer as those of `objects` do.
 *
 * @param capabilities the name of the adapter, and `trim`: `create` when the create itself refuses trimmed numbers
 * @example
 *     export const mine = () => overObjects({ create, swap, put, get, list, delete: remove }, { name: 'mine', trim: 'writer' })
 */
export function overObjects(
  objects: ObjectStore,
  capabilities: Capabilities & { readonly trim: 'create' | 'writer' },
): Storage {
  return {
    capabilities,
    blobs: {
      put: (name, bytes, options) => objects.put(name, bytes, options),
      get: (name, options) => objects.get(name, options),
      list: (prefix, options) => listing.use((part) => part.listBlobs(objects, prefix, options)),
      delete: (names, options) => listing.use((part) => part.removeAll(objects, names, options)),
    },
    log: (path) => log(objects, path),
    anchor: (path) => anchor(objects, path),
    logs: (prefix, options) => listing.use((part) => part.listLogs(objects, prefix, options)),
  }
}

function log(objects: ObjectStore, path: string): Log {
  const guard = { anchor: `${path.slice(0, path.lastIndexOf('/'))}/anchor` }
  const append: Log['append'] = (n, bytes, _from, options) =>
    objects.create(entryKey(path, n), bytes, { ...guard, n }, options)

  return {
    append,
    claim: append,
    read: (n, options) => objects.get(entryKey(path, n), options),
    ...(objects.getAll && {
      async readTail(from, options) {
        const after = entryKey(path, Math.max(from, 1) - 1)
        const { items, ...rest } = await objects.getAll!(`${path}/log/`, { ...options, after })
        return { ...rest, entries: items.map(({ name, bytes }) => ({ n: Number(name.slice(-16)), bytes })) }
      },
    }),
    list: (from, options) => listing.use((part) => part.listEntries(objects, path, from, options)),
    // A create is durable when it is answered.
    sync: () => Promise.resolve({}),
    remove: (numbers, options) => listing.use((part) => part.removeEntries(objects, path, numbers, options)),
    destroy: (options) => listing.use((part) => part.destroyLog(objects, path, options)),
    close: () => Promise.resolve(),
  }
}

function anchor(objects: ObjectStore, path: string): Anchor {
  return {
    read: (options) => objects.get(path, options),
    swap: (token, bytes, trim, options) => objects.swap(path, token, bytes, trim, options),
    remove: (options) => objects.delete([path], options),
  }
}
