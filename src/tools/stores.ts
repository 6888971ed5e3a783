/** Finds the stores of a storage, and destroys one. */
import { systemClock } from '../clock.js'
import { isDamage, isFull, TidemarkError, checkFields, isTidemarkError } from '../errors.js'
import { fromHex, toHex } from '../bytes/hex.js'
import { decodeAnchor } from '../log/anchor.js'
import { TOMBSTONE, isTombstone } from '../log/tombstone.js'
import { gonePath, gonePrefix, logIdOfGone, logIdOfPath, shardOfLog, storeOfLog } from '../manifest/listed-names.js'
import { anchorPath, checkLogPath, CONTROL, logPath } from '../manifest/names.js'
import { closeLog, openAnchor, openLog, type LogContext, type ReadContext } from '../engine/context.js'
import { mayBeNeeded } from '../engine/gc/fork-holds.js'
import { listPinNames, readPin } from '../engine/history/pins.js'
import { parseEntry } from '../engine/state.js'
import type { Storage } from '../storage/contract.js'
import { deadlines } from '../storage/deadlines.js'
import { pagesOf } from '../storage/pages.js'
import { checkPlace, checkStorage, type StorePlace } from './place.js'
import { isVoidLog } from './reading.js'
import { buryShards, otherShards, removeAnchors } from './shard-anchors.js'

const ID_DIGITS = 32

/** A store that was found. */
export interface StoreInfo {
  /** The name with which it is opened. */
  readonly name: string
  /** The numbers of the shards with which it began: 0. `listShards` tells those that it has. */
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
  const stores = new Map<string, Set<number>>()
  for (const path of [...logs, ...left]) {
    const [name, shard] = path.split('/') as [string, string]
    const shards = stores.get(name) ?? new Set()
    stores.set(name, shards.add(shard.length < ID_DIGITS ? Number(shard) : 0))
  }
  const infos = [...stores].map(async ([name, shards]): Promise<StoreInfo | undefined> => {
    const { bytes } = await storage.anchor(anchorPath(name)).read()
    const own = logs.filter((path) => path.startsWith(`${name}/`))
    const isLeft = left.some((path) => path.startsWith(`${name}/`))
    const states =
      bytes === undefined ? await Promise.all(own.map((path) => stateOfLog(storage, name, path))) : ['there']
    // A fork that never came about leaves a log that was closed before it had begun.
    if (states.every((state) => state === 'void') && !isLeft) return undefined
    const isLost = !states.includes('there')
    const incomplete = isLost || own.length === 0 || isTombstone(bytes)
    return { name, shards: [...shards].sort((a, b) => a - b), ...(incomplete && { incomplete }) }
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

/** The paths of the logs that have blobs under a prefix. */
async function logsWithBlobs({ blobs }: Storage, prefix: string): Promise<string[]> {
  const found = new Set<string>()
  for await (const { items } of pagesOf(blobs, prefix)) for (const { name } of items) found.add(logOfBlob(name))
  return [...found]
}

/** The log that the anchor names, if it names one. */
function logOfAnchor(name: string, bytes: Uint8Array | undefined): string[] {
  if (bytes === undefined || isTombstone(bytes)) return []
  try {
    return [logPath(name, decodeAnchor(bytes, name).logId)]
  } catch (error) {
    if (!isTidemarkError(error)) throw error
    return []
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

/** Options of `destroyStore`. */
export interface DestroyOptions {
  /**
   * Also destroys a store whose anchor cannot be read, because it is damaged or was written by a newer release.
   * @default false
   * @when Set it when the call says that it cannot read the anchor, and the store is to go all the same.
   */
  readonly force?: boolean | undefined
}

const OPTIONS = new Set(['force'])

/**
 * Removes everything of a store. A store that is made under the name later is another one.
 *
 * First the anchor says that the store is gone, so that nobody opens the rest. Then blobs and logs go, and the anchor. After
 * an interruption `listStores` shows the remains as `incomplete`, and another call finishes the work. A fork that is destroyed
 * also drops its pin at its parent.
 *
 * Whoever has the store open can write no more once the anchor says so. An upload of that very moment may stay behind; another
 * call removes it.
 *
 * @throws `NOT_FOUND` when nothing is there
 * @throws `CONFLICT` while forks need segments of the store
 * @throws `CORRUPT` or `UNSUPPORTED_FORMAT` when the anchor cannot be read, unless `force` is set
 * @example
 *     await destroyStore({ storage: nodeFs('./state'), name: 'orders' })
 */
export async function destroyStore(place: StorePlace, options: DestroyOptions = {}): Promise<void> {
  checkPlace('destroyStore', place)
  checkFields('destroyStore', options, OPTIONS)
  const { storage, name } = place
  const prefix = `${name}/`
  const { bytes } = await storage.anchor(anchorPath(name)).read()
  const [logs, left] = await Promise.all([storage.logs(prefix), logsWithBlobs(storage, prefix)])
  // A lost log is not listed, but it may have left blobs, and pins of forks that need its segments.
  const paths = [...new Set([...logs.paths, ...left.filter(isOfStore), ...logOfAnchor(name, bytes)])]
  if (bytes === undefined && paths.length === 0 && left.length === 0) {
    throw new TidemarkError('NOT_FOUND', `There is no store "${name}" in this storage; check its name and place.`)
  }
  const force = options.force ?? false
  const ctx: ReadContext = { store: name, storage, clock: systemClock, durability: 'strict', warn: () => undefined }
  // A destruction that was begun is finished. Before one begins, it is made sure that nothing is taken from forks.
  if (!isTombstone(bytes)) await assertNotForked(ctx, paths, force)
  const parents = isTombstone(bytes) ? [] : await parentsOf(ctx, paths)
  const shards = await otherShards(storage, name, paths)
  await buryAnchor(place, force).catch(async (error: unknown) => {
    if (!isFull(error)) throw error
    // Without room for the tombstone the entries go first. Without them nobody opens the store, either.
    await destroyLogs(storage, paths)
    await buryAnchor(place, force)
  })
  const logIds = [
    ...paths.flatMap((path) => logIdOfPath(name, path, shardOfLog(path)) ?? []),
    ...shards.filter((shard) => shard !== CONTROL).map(fromHex),
  ]
  const notes = await putNotes(place, logIds).catch(async (error: unknown) => {
    if (!isFull(error)) throw error
    // Without room for the notes the blobs go first. Nothing is hidden by that: the logs are still listed.
    await removeBlobs(storage, prefix)
    return putNotes(place, logIds)
  })
  await buryShards(storage, name, shards)
  await removeBlobs(storage, prefix)
  // An adapter may no longer list a log that is partly removed; its note still names it.
  const noted = notes.map((note) => logIdOfGone(note)!)
  const anywhere = noted.flatMap((id) => [undefined, toHex(id), CONTROL].map((shard) => logPath(name, id, shard)))
  await destroyLogs(storage, new Set([...paths, ...anywhere]))
  await removeAnchors(storage, name, [...new Set([...shards, ...noted.map(toHex), CONTROL])])
  await storage.anchor(anchorPath(name)).remove()
  // The notes go last, because remains are found by them.
  if (notes.length > 0) await storage.blobs.delete(notes)
  if (parents.length > 0) await storage.blobs.delete(parents)
}

async function destroyLogs(storage: Storage, paths: Iterable<string>): Promise<void> {
  for (const path of paths) {
    const log = storage.log(path)
    try {
      await log.destroy()
    } finally {
      await log.close()
    }
  }
}

/** Throws `CONFLICT` while there are forks that need segments of the store. */
async function assertNotForked(ctx: ReadContext, paths: readonly string[], force: boolean): Promise<void> {
  const forks = new Set<string>()
  for (const path of paths) {
    for (const blob of await listPinNames(ctx.storage.blobs, path)) {
      try {
        const pin = await readPin(ctx.storage.blobs, blob)
        if (pin?.kind === 'fork' && (await mayBeNeeded(ctx, path, pin))) forks.add(storeOfLog(pin.name))
      } catch (error) {
        // Nobody can tell for which store a damaged pin holds something.
        if (!isDamage(error)) throw error
        if (!force) throw unforced(error)
      }
    }
  }
  if (forks.size === 0) return
  const names = [...forks].sort().map((fork) => `"${fork}"`)
  throw new TidemarkError(
    'CONFLICT',
    `Store "${ctx.store}" cannot be destroyed: ${names.length === 1 ? 'its fork' : 'its forks'} ${names.join(', ')} ${names.length === 1 ? 'needs' : 'need'} segments of it. Destroy ${names.length === 1 ? 'that' : 'those'} first.`,
    { retryable: false },
  )
}

const READ_AT_ONCE = 16

/** The pins by which other stores hold segments for this one. A pin that is missed here goes when that store collects. */
async function parentsOf(ctx: ReadContext, paths: readonly string[]): Promise<string[]> {
  const holds: string[] = []
  for (const path of paths) {
    const logId = logIdOfPath(ctx.store, path)
    if (logId === undefined) continue
    const log = openLog(ctx, openAnchor(ctx), logId)
    try {
      const others = new Set<string>()
      const { numbers } = (await log.log.list(1).catch(nothingIfDamaged)) ?? { numbers: [] }
      for (let i = 0; i < numbers.length; i += READ_AT_ONCE) {
        const named = await Promise.all(numbers.slice(i, i + READ_AT_ONCE).map((n) => otherLogs(log, n)))
        for (const other of named.flat()) if (other !== path) others.add(other)
      }
      for (const other of others) {
        for (const blob of await listPinNames(ctx.storage.blobs, other)) {
          const pin = await readPin(ctx.storage.blobs, blob).catch(nothingIfDamaged)
          if (pin?.kind === 'fork' && pin.name === path) holds.push(blob)
        }
      }
    } finally {
      await closeLog(ctx, log)
    }
  }
  return holds
}

/** The logs of other stores that an entry names; none when it is damaged. */
async function otherLogs(log: LogContext, n: number): Promise<string[]> {
  try {
    const { bytes } = await log.log.read(n)
    if (bytes === undefined) return []
    const { entry, manifest } = await parseEntry(log, n, bytes)
    const named = (manifest?.runs ?? []).flat().map((ref) => ref.log)
    return entry.origin && isOfStore(entry.origin.log) ? [...named, entry.origin.log] : named
  } catch (error) {
    return nothingIfDamaged(error) ?? []
  }
}

function nothingIfDamaged(error: unknown): undefined {
  if (!isDamage(error)) throw error
}

/** Notes which logs are going. Returns all such notes, those of interrupted calls among them. */
async function putNotes({ storage, name }: StorePlace, logIds: readonly Uint8Array[]): Promise<string[]> {
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
    throw unforced(cause)
  }
}

function unforced(cause: TidemarkError): TidemarkError {
  return new TidemarkError(cause.code, `${cause.message} To destroy the store all the same, use force: true.`, {
    cause,
  })
}

async function removeBlobs({ blobs }: Storage, prefix: string): Promise<void> {
  for await (const { items } of pagesOf(blobs, prefix)) {
    const names = items.map((item) => item.name).filter((name) => !logIdOfGone(name))
    if (names.length > 0) await blobs.delete(names)
  }
}
