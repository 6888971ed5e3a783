/** Finds the stores of a storage. */
import { systemClock } from '../clock.js'
import { isTombstone } from '../log/tombstone.js'
import { logIdOfGone, logIdOfPath } from '../manifest/listed-names.js'
import { anchorPath } from '../manifest/names.js'
import type { Storage } from '../storage/contract.js'
import { deadlines } from '../storage/deadlines.js'
import { checkStorage } from './place.js'
import { isOfStore, isVoidLog, logOfBlob, nothingIfDamaged } from './reading.js'
import { firstsOf } from './shards.js'

/** A store that was found. */
export interface StoreInfo {
  /** The name with which it is opened. */
  readonly name: string
  /** The first partitions of its shards, ascending: 0 alone, unless it was split. */
  readonly shards: readonly number[]
  /**
   * Set when nobody can open the store: `destroyStore` was interrupted, or the log is lost and only segments are left.
   * `destroyStore` removes the rest.
   */
  readonly incomplete?: true
}

/**
 * Lists the stores of a storage, by name, and the remains of stores. The leftovers of a probe are no store.
 *
 * @throws `INVALID_ARGUMENT` when no storage is given, `STORAGE_UNAVAILABLE` when it does not answer
 * @example
 *     for (const { name } of await listStores(nodeFs('./state'))) console.log(name)
 */
export async function listStores(given: Storage): Promise<StoreInfo[]> {
  checkStorage(given)
  const storage = deadlines(given)
  const [{ paths }, left] = await Promise.all([storage.logs(''), storesWithBlobs(storage)])
  const logs = paths.filter(isOfStore)
  const stores = new Set([...logs, ...left].map((path) => path.slice(0, path.indexOf('/'))))
  const infos = [...stores].map(async (name): Promise<StoreInfo | undefined> => {
    const { bytes } = await storage.anchor(anchorPath(name)).read()
    const own = logs.filter((path) => path.startsWith(`${name}/`))
    const isLeft = left.some((path) => path.startsWith(`${name}/`))
    const states =
      bytes === undefined ? await Promise.all(own.map((path) => stateOfLog(storage, name, path))) : ['there']
    // A fork that never came about leaves a log that was closed before it had begun.
    if (states.every((state) => state === 'void') && !isLeft) return undefined
    const isLost = !states.includes('there')
    const incomplete = isLost || own.length === 0 || isTombstone(bytes)
    const wasSplit = own.some((path) => !path.startsWith(`${name}/0/`))
    const ctx = { store: name, storage, clock: systemClock, durability: 'strict', warn: () => undefined } as const
    const shards = wasSplit && !incomplete ? await firstsOf(ctx) : [0]
    return { name, shards, ...(incomplete && { incomplete }) }
  })
  const found = (await Promise.all(infos)).filter((info) => info !== undefined)
  return found.sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function stateOfLog(storage: Storage, store: string, path: string): Promise<'there' | 'void' | 'lost'> {
  if (logIdOfPath(store, path) === undefined) return 'there'
  const log = storage.log(path)
  try {
    const { numbers } = (await log.list(1).catch(nothingIfDamaged)) ?? { numbers: [] }
    if (numbers.length === 0) return 'lost'
    return (await isVoidLog({ log }, numbers)) ? 'void' : 'there'
  } finally {
    await log.close()
  }
}

/** The length of a page of blobs: enough to get past those of no store. The blobs of a store are stepped over. */
const PAGE = 100

/** The first blob of each store that has any. */
async function storesWithBlobs({ blobs }: Storage): Promise<string[]> {
  const found: string[] = []
  for (let after: string | undefined; ;) {
    const { items, more } = await blobs.list('', { after, limit: PAGE })
    for (const { name } of items) {
      if (after !== undefined && name <= after) continue
      after = name
      if (!isOfStore(logOfBlob(name)) && !logIdOfGone(name)) continue
      found.push(name)
      // "0" comes right after "/", so that this is behind all blobs of the store.
      after = `${name.slice(0, name.indexOf('/'))}0`
    }
    if (!more) return found
  }
}
