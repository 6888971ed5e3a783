/** The stores of a storage: finding them, and destroying one. */
import { equalBytes } from '../bytes/compare.js'
import { TidemarkError, checkFields, isTidemarkError } from '../errors.js'
import { TOMBSTONE, decodeAnchor } from '../log/anchor.js'
import { anchorPath, checkLogPath } from '../manifest/names.js'
import type { Storage } from '../storage/contract.js'
import { checkPlace, checkStorage, type StorePlace } from './place.js'

export interface StoreInfo {
  readonly name: string
  /** Numbers of its shards; a store has one for now. */
  readonly shards: readonly number[]
}

/** The stores that have a log, by name. What an interrupted creation's probe left behind is none. */
export async function listStores(storage: Storage): Promise<StoreInfo[]> {
  checkStorage(storage)
  const { paths } = await storage.logs('')
  const stores = new Map<string, Set<number>>()
  for (const path of paths.filter(isOfStore)) {
    const [name, shard] = path.split('/') as [string, string]
    const shards = stores.get(name) ?? new Set()
    stores.set(name, shards.add(Number(shard)))
  }
  return [...stores]
    .map(([name, shards]) => ({ name, shards: [...shards].sort((a, b) => a - b) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function isOfStore(path: string): boolean {
  try {
    checkLogPath(path)
    return true
  } catch {
    return false
  }
}

export interface DestroyOptions {
  /** Also a store whose anchor cannot be read: it is damaged, or was written by a newer release. */
  readonly force?: boolean | undefined
}

const OPTIONS = new Set(['force'])

/**
 * Removes everything of a store; a store made under the name later is another one. First the anchor says that it is gone,
 * so that nobody opens what is left; then go blobs and logs, and the anchor last. When it was interrupted, calling it again
 * finishes the work. `NOT_FOUND` when nothing is there.
 *
 * Whoever has the store open writes no more, but for the moment until then; what it uploads at that very moment may stay
 * behind, and is removed by calling this again.
 */
export async function destroyStore(place: StorePlace, options: DestroyOptions = {}): Promise<void> {
  checkPlace('destroyStore', place)
  checkFields('destroyStore', options, OPTIONS)
  const { storage, name } = place
  const prefix = `${name}/`
  const { bytes } = await storage.anchor(anchorPath(name)).read()
  const [{ paths }, { items }] = await Promise.all([storage.logs(prefix), storage.blobs.list(prefix, { limit: 1 })])
  if (bytes === undefined && paths.length === 0 && items.length === 0) {
    throw new TidemarkError('NOT_FOUND', `There is no store "${name}" in this storage; check its name and place.`)
  }
  await buryAnchor(place, options.force ?? false)
  await removeBlobs(storage, prefix)
  for (const path of paths) {
    const log = storage.log(path)
    try {
      await log.destroy()
    } finally {
      await log.close()
    }
  }
  await storage.anchor(anchorPath(name)).remove()
}

const TRIES = 8

/** Puts the tombstone where the anchor is. */
async function buryAnchor({ storage, name }: StorePlace, force: boolean): Promise<void> {
  const anchor = storage.anchor(anchorPath(name))
  let cause: unknown
  for (let tries = TRIES; tries > 0; tries--) {
    const { bytes, token } = await anchor.read()
    if (bytes && equalBytes(bytes, TOMBSTONE.bytes)) return
    if (bytes && !force) checkReadable(bytes, name)
    const swapped = await anchor.swap(token, TOMBSTONE.bytes, TOMBSTONE.trim)
    if (swapped.outcome === 'committed') return
    cause = swapped.outcome === 'unknown' ? swapped.cause : undefined
  }
  throw new TidemarkError(
    'CONFLICT',
    `The anchor of store "${name}" could not be replaced in ${TRIES} tries, and nothing was removed; try again.`,
    { cause },
  )
}

function checkReadable(bytes: Uint8Array, name: string): void {
  try {
    decodeAnchor(bytes, `The anchor of store "${name}"`)
  } catch (cause) {
    if (!isTidemarkError(cause)) throw cause
    throw new TidemarkError(cause.code, `${cause.message} To destroy the store all the same, use force: true.`, {
      cause,
    })
  }
}

async function removeBlobs({ blobs }: Storage, prefix: string): Promise<void> {
  for (let after: string | undefined; ;) {
    const { items, more } = await blobs.list(prefix, { after })
    if (items.length > 0) await blobs.delete(items.map((item) => item.name))
    if (!more) return
    after = items.at(-1)?.name ?? after
  }
}
