/** Opening a store. */
import type { Key } from '../bytes/keys.js'
import { aborted } from '../errors.js'
import { StoreHandle } from './handle.js'
import { resolveOptions, type OpenOptions } from './open-options.js'
import { Store } from './store.js'

/**
 * Opens a store, or creates it when it does not exist. An `exclusive` handle takes the store over: the former owner's next
 * commit fails with `FENCED`.
 *
 *     const store = await openStore<string, Order>({ storage: nodeFs('./state'), name: 'orders' })
 *
 * @throws `INVALID_ARGUMENT`: an option, another job, partition count or codec than the store's, or `create: true` and it
 *   exists. `NOT_FOUND`: `create: false` and it does not exist. `CONFLICT`: the mode contradicts the recorded one.
 *   `ROLLED_BACK`: the storage holds less than `expectAtLeast`. `CORRUPT`, `UNSUPPORTED_FORMAT`: stored bytes are damaged,
 *   or newer than this release. `STORAGE_UNSAFE`: the storage does not keep what the protocol stands on.
 *   `STORAGE_UNAVAILABLE`, `UNKNOWN_OUTCOME`: it did not answer. `ABORTED`: the signal.
 */
export async function openStore<K extends Key = Key, V = unknown>(given: OpenOptions<V>): Promise<Store<K, V>> {
  const options = resolveOptions(given)
  const opening = StoreHandle.open(options)
  const handle = given.signal ? await unlessAborted(opening, given.signal) : await opening
  return new Store<K, V>(handle, handle.spec('', options.table))
}

async function unlessAborted(opening: Promise<StoreHandle>, signal: AbortSignal): Promise<StoreHandle> {
  let stop = (): void => undefined
  const abort = new Promise<never>((_, reject) => {
    stop = () => reject(aborted(signal))
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([opening, abort])
  } catch (error) {
    // A store that opens after all is closed again.
    if (signal.aborted) opening.then((handle) => handle.close()).catch(() => undefined)
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
