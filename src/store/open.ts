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
 * @throws `INVALID_ARGUMENT` when an option is wrong, when the store has another job, partition count or codec, or when
 *   `create` is true and the store exists
 * @throws `NOT_FOUND` when `create` is false and the store does not exist
 * @throws `CONFLICT` when the mode contradicts the recorded one, or others write too fast to take the store over
 * @throws `ROLLED_BACK` when the storage holds less than `expectAtLeast`
 * @throws `CORRUPT` or `UNSUPPORTED_FORMAT` when stored bytes are damaged, or newer than this release
 * @throws `STORAGE_UNSAFE` when the storage does not enforce what the protocol stands on
 * @throws `STORAGE_UNAVAILABLE` or `UNKNOWN_OUTCOME` when the storage does not answer; `ABORTED` by the signal
 * @example
 *     const store = await openStore<string, Order>({ storage: nodeFs('./state'), name: 'orders' })
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
