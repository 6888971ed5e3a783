/** The stores of a storage: finding them, and destroying one. */
import { equalBytes } from '../bytes/compare.js'
import { TidemarkError, checkFields, isTidemarkError } from '../errors.js'
import { TOMBSTONE, decodeAnchor } from '../log/anchor.js'
import { anchorPath, checkLogPath, gonePath, gonePrefix, logIdOfGone, logIdOfPath, logPath } from '../manifest/names.js'
import type { Storage } from '../storage/contract.js'
import { checkPlace, checkStorage, type StorePlace } from './place.js'

export interface StoreInfo {
  readonly name: string
  /** Numbers of its shards; a store has one for now. */
  readonly shards: readonly number[]
  /**
   * Nobody can open it: `destroyStore` was interrupted, or its log is lost and only segments are left. `destroyStore`
   * removes the rest.
   */
  readonly incomplete?: true
}

/** The stores by name, also what is left of one. What an interrupted creation's probe left behind is none. */
export async function listStores(storage: Storage): Promise<StoreInfo[]> {
  checkStorage(storage)
  const [{ paths }, left] = await Promise.all([storage.logs(''), storesWithBlobs(storage)])
  const logs = paths.filter(isOfStore)
  const stores = new Map<string, Set<number>>()
  for (const path of [...logs, ...left]) {
    const [name, shard] = path.split('/') as [string, string]
    const shards = stores.get(name) ?? new Set()
    stores.set(name, shards.add(Number(shard)))
  }
  const infos = [...stores].map(async ([name, shards]): Promise<StoreInfo> => {
    const lost = !logs.some((path) => path.startsWith(`${name}/`))
    const incomplete = lost || isTombstone((await storage.anchor(anchorPath(name)).read()).bytes)
    return { name, shards: [...shards].sort((a, b) => a - b), ...(incomplete && { incomplete }) }
  })
  return (await Promise.all(infos)).sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Enough to get past what is no store's; a store's own blobs are stepped over. */
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
      // "0" comes right after "/".
      after = `${name.slice(0, name.indexOf('/'))}0`
    }
    if (!more) return found
  }
}

function logOfBlob(name: string): string {
  return name.split('/', 3).join('/')
}

function isOfStore(path: string): boolean {
  try {
    checkLogPath(path)
    return true
  } catch {
    return false
  }
}

function isTombstone(bytes: Uint8Array | undefined): boolean {
  return bytes !== undefined && equalBytes(bytes, TOMBSTONE.bytes)
}

export interface DestroyOptions {
  /** Also a store whose anchor cannot be read: it is damaged, or was written by a newer release. */
  readonly force?: boolean | undefined
}

const OPTIONS = new Set(['force'])

/**
 * Removes everything of a store; a store made under the name later is another one. First the anchor says that it is gone,
 * so that nobody opens what is left; then go blobs and logs, and the anchor. When it was interrupted, `listStores` shows
 * what is left as `incomplete`, and calling this again finishes the work. `NOT_FOUND` when nothing is there.
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
  const notes = await putNotes(place, [...paths, ...items.map((item) => logOfBlob(item.name))])
  await removeBlobs(storage, prefix)
  // Of a log that is partly removed an adapter need not know any more that it is one; its note does.
  const noted = notes.map((note) => logPath(name, logIdOfGone(note)!))
  for (const path of new Set([...paths, ...noted])) {
    const log = storage.log(path)
    try {
      await log.destroy()
    } finally {
      await log.close()
    }
  }
  await storage.anchor(anchorPath(name)).remove()
  // What is left is found by the notes: they go last.
  if (notes.length > 0) await storage.blobs.delete(notes)
}

/** Notes which logs are going, and returns all such notes, also of those who were interrupted. */
async function putNotes({ storage, name }: StorePlace, paths: readonly string[]): Promise<string[]> {
  const logIds = paths.flatMap((path) => logIdOfPath(name, path) ?? [])
  const { items } = await storage.blobs.list(gonePrefix(name))
  const notes = new Set(items.filter((item) => logIdOfGone(item.name)).map((item) => item.name))
  for (const note of logIds.map((id) => gonePath(name, id))) {
    if (!notes.has(note)) await storage.blobs.put(note, new Uint8Array(0))
    notes.add(note)
  }
  return [...notes]
}

const TRIES = 8

/** Puts the tombstone where the anchor is. */
async function buryAnchor({ storage, name }: StorePlace, force: boolean): Promise<void> {
  const anchor = storage.anchor(anchorPath(name))
  let cause: unknown
  for (let tries = TRIES; tries > 0; tries--) {
    const { bytes, token } = await anchor.read()
    if (isTombstone(bytes)) return
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
    const names = items.map((item) => item.name).filter((name) => !logIdOfGone(name))
    if (names.length > 0) await blobs.delete(names)
    if (!more) return
    after = items.at(-1)?.name ?? after
  }
}
