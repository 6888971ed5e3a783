/** Destroys a store. */
import { systemClock } from '../clock.js'
import { isDamage, isFull, TidemarkError, checkFields, isTidemarkError } from '../errors.js'
import { decodeAnchor } from '../log/anchor.js'
import { TOMBSTONE, isTombstone } from '../log/tombstone.js'
import { gonePath, logIdOfGone, logIdOfPath, shardOfLog, storeOfLog } from '../manifest/listed-names.js'
import { anchorPath, logPath, ROOT } from '../manifest/names.js'
import { closeLog, openAnchor, openLog, type LogContext, type ReadContext } from '../engine/context.js'
import { mayBeNeeded } from '../engine/gc/fork-holds.js'
import { listPinNames, readPin } from '../engine/history/pins.js'
import { parseEntry } from '../engine/state.js'
import type { Storage } from '../storage/contract.js'
import { StoreHandle } from '../store/handle.js'
import { resolveOptions } from '../store/open-options.js'
import { Store } from '../store/store.js'
import { pagesOf } from '../storage/pages.js'
import { checkPlace, type StorePlace } from './place.js'
import { isOfStore, logOfBlob, nothingIfDamaged } from './reading.js'
import { namedShards } from './shards.js'

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
 * First the anchors say that the store is gone, so that nobody opens the rest. Then blobs and logs go, and the anchors. After
 * an interruption `listStores` shows the remains as `incomplete`, and another call finishes the work. A fork that is destroyed
 * also drops its pin at its parent.
 *
 * Whoever has the store open can write no more once the anchor says so, and members of a group are out. An upload of that very
 * moment may stay behind; another call removes it.
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
  const [logs, left] = await Promise.all([storage.logs(prefix), blobsLeft(storage, prefix)])
  // A lost log is not listed, but it may have left blobs, and pins of forks that need its segments.
  const paths = new Set([...logs.paths, ...left.logs.filter(isOfStore), ...logOfAnchor(name, bytes)])
  if (bytes === undefined && paths.size === 0 && left.logs.length === 0) {
    throw new TidemarkError('NOT_FOUND', `There is no store "${name}" in this storage; check its name and place.`)
  }
  const force = options.force ?? false
  const ctx: ReadContext = { store: name, storage, clock: systemClock, durability: 'strict', warn: () => undefined }
  const shards = await shardsOf(ctx, [...paths, ...left.notes])
  // A destruction that was begun is finished. Before one begins, it is made sure that nothing is taken from forks.
  if (!isTombstone(bytes)) await assertNotForked(ctx, [...paths], force)
  const parents = isTombstone(bytes) ? [] : await parentsOf(ctx, paths)
  const noted = new Set(left.notes)
  // The root leads to them, and no list shows their anchors: they are noted before it goes. Without room for that they are noted later.
  const pathsOfShards = [...shards].filter((shard) => shard !== GROUP).map((shard) => `${name}/${shard}/${shard}`)
  for (const path of pathsOfShards) paths.add(path)
  if (shards.size > 0) await putNotes(storage, paths, noted).catch(unlessFull)
  await buryAnchor(place, ROOT, force).catch(async (error: unknown) => {
    if (!isFull(error)) throw error
    // Without room for the tombstone the entries go first. Without them nobody opens the store, either.
    await destroyLogs(storage, paths)
    await buryAnchor(place, ROOT, force)
  })
  // A child that is not there yet may be made just now: with its anchor taken, nobody can.
  for (const shard of shards) {
    const mayFail = (await isThere(storage, name, shard)) ? undefined : unlessFull
    await buryAnchor(place, shard, true).catch(mayFail)
  }
  await putNotes(storage, paths, noted).catch(async (error: unknown) => {
    if (!isFull(error)) throw error
    // Without room for the notes the blobs go first. Nothing is hidden by that: the logs are still listed.
    await removeBlobs(storage, prefix)
    return putNotes(storage, paths, noted)
  })
  await removeBlobs(storage, prefix)
  // An adapter may no longer list a log that is partly removed; its note still names it.
  const gone = [...noted].map((note) => logPath(name, logIdOfGone(note)!, shardOfLog(logOfBlob(note))))
  await destroyLogs(storage, new Set([...paths, ...gone]))
  for (const shard of shards) await storage.anchor(anchorPath(name, shard)).remove()
  await storage.anchor(anchorPath(name)).remove()
  // The notes go last, because remains are found by them.
  if (noted.size > 0) await storage.blobs.delete([...noted])
  if (parents.length > 0) await storage.blobs.delete(parents)
}

/** The shard of the control store of a group. */
const GROUP = 'group'
/** The key of a member's row in the control store. */
const MEMBER = /^member\/[0-9a-f]{32}$/
const MEMBER_AT = 'member/'.length

function unlessFull(error: unknown): void {
  if (!isFull(error)) throw error
}

/** All shards but the root: those of these objects, those to which their seals lead, and the leases of members. */
async function shardsOf(ctx: ReadContext, names: readonly string[]): Promise<ReadonlySet<string>> {
  const found = new Set(names.map((name) => name.split('/')[1]!).filter((shard) => shard !== ROOT))
  // One that was never split has nothing but its root.
  if (found.size === 0) return found
  const named = await namedShards(ctx, [undefined, ...[...found].filter((shard) => shard !== GROUP)])
  const members = found.has(GROUP) ? await membersOf(ctx) : []
  return new Set([...found, ...named, ...members])
}

/** The members of a group, whose leases lie beside the shards: only its control store names them. */
async function membersOf({ storage, store: name }: ReadContext): Promise<string[]> {
  const options = resolveOptions({ storage, name, mode: 'follower', logger: false })
  try {
    const handle = await StoreHandle.open({ ...options, folder: GROUP })
    try {
      const rows = new Store<string>(handle, handle.spec('', options.table))
      const members: string[] = []
      for await (const key of rows.keys()) if (MEMBER.test(key)) members.push(key.slice(MEMBER_AT))
      return members
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (isDamage(error) || (isTidemarkError(error) && error.code === 'NOT_FOUND')) return []
    throw error
  }
}

async function isThere(storage: Storage, name: string, shard: string): Promise<boolean> {
  return (await storage.anchor(anchorPath(name, shard)).read()).bytes !== undefined
}

/** The paths of the logs that have blobs under a prefix, and the notes of logs that are going. */
async function blobsLeft(
  { blobs }: Storage,
  prefix: string,
): Promise<{ readonly logs: readonly string[]; readonly notes: readonly string[] }> {
  const logs = new Set<string>()
  const notes: string[] = []
  for await (const { items } of pagesOf(blobs, prefix)) {
    for (const { name } of items) {
      logs.add(logOfBlob(name))
      if (logIdOfGone(name)) notes.push(name)
    }
  }
  return { logs: [...logs], notes }
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
async function parentsOf(ctx: ReadContext, paths: ReadonlySet<string>): Promise<string[]> {
  const holds: string[] = []
  for (const path of paths) {
    const own = { ...ctx, shard: shardOfLog(path) }
    const logId = logIdOfPath(ctx.store, path, own.shard)
    if (logId === undefined) continue
    const log = openLog(own, openAnchor(own), logId)
    try {
      const others = new Set<string>()
      const { numbers } = (await log.log.list(1).catch(nothingIfDamaged)) ?? { numbers: [] }
      for (let i = 0; i < numbers.length; i += READ_AT_ONCE) {
        const named = await Promise.all(numbers.slice(i, i + READ_AT_ONCE).map((n) => otherLogs(log, n)))
        for (const other of named.flat()) if (storeOfLog(other) !== ctx.store) others.add(other)
      }
      for (const other of others) {
        for (const blob of await listPinNames(ctx.storage.blobs, other)) {
          const pin = await readPin(ctx.storage.blobs, blob).catch(nothingIfDamaged)
          if (pin?.kind === 'fork' && paths.has(pin.name)) holds.push(blob)
        }
      }
    } finally {
      await closeLog(own, log)
    }
  }
  return [...new Set(holds)]
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

/** Notes which logs are going, and adds the notes to those that are there already. */
async function putNotes({ blobs }: Storage, paths: Iterable<string>, notes: Set<string>): Promise<void> {
  for (const path of paths) {
    const [store, shard] = [storeOfLog(path), shardOfLog(path)]
    const logId = logIdOfPath(store, path, shard)
    const note = logId && gonePath(store, logId, shard)
    if (note === undefined || notes.has(note)) continue
    await blobs.put(note, new Uint8Array(0))
    notes.add(note)
  }
}

const TRIES = 8

/** Puts the tombstone where the anchor of a shard is. */
async function buryAnchor({ storage, name }: StorePlace, shard: string, force: boolean): Promise<void> {
  const anchor = storage.anchor(anchorPath(name, shard))
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
