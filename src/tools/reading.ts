/** Reads all that a storage has of a store, however damaged that is. */
import { isDamage } from '../errors.js'
import { decodeEntry, type Carried } from '../log/entry.js'
import { logIdOfPath } from '../manifest/listed-names.js'
import { checkLogPath, shardPath } from '../manifest/names.js'
import type { LogContext, ReadContext } from '../engine/context.js'
import { isVoid } from '../engine/open/lost-log.js'
import type { BlobInfo } from '../storage/contract.js'
import { pagesOf } from '../storage/pages.js'
import { isProbe } from '../storage/probe-name.js'

export async function logsOf({ store, shard, storage }: ReadContext): Promise<string[]> {
  const { paths } = await storage.logs(`${shardPath(store, shard)}/`)
  return paths.filter((path) => logIdOfPath(store, path, shard) !== undefined)
}

export async function blobsOf({ store, shard, storage }: ReadContext): Promise<BlobInfo[]> {
  const all: BlobInfo[] = []
  for await (const { items } of pagesOf(storage.blobs, `${shardPath(store, shard)}/`)) {
    all.push(...items.filter(({ name }) => !isProbe(name)))
  }
  return all
}

/** The header of the newest entry that can be read. */
export async function newestHeader(
  { log }: Pick<LogContext, 'log'>,
  numbers: readonly number[],
): Promise<Carried | undefined> {
  for (const n of numbers.toReversed()) {
    const { bytes } = await log.read(n)
    try {
      const carried = bytes && decodeEntry(bytes, n, undefined).carried
      if (carried) return carried
    } catch (error) {
      if (!isDamage(error)) throw error
    }
  }
  return undefined
}

/** Whether the log holds nothing but the entry that closes it: its fork never came about. */
export async function isVoidLog({ log }: Pick<LogContext, 'log'>, numbers: readonly number[]): Promise<boolean> {
  if (numbers.length !== 1 || numbers[0] !== 1) return false
  try {
    return await isVoid(log)
  } catch (error) {
    if (!isDamage(error)) throw error
    return false
  }
}

export function logOfBlob(name: string): string {
  return name.split('/', 3).join('/')
}

export function isOfStore(path: string): boolean {
  try {
    checkLogPath(path)
    return true
  } catch {
    return false
  }
}

export function nothingIfDamaged(error: unknown): undefined {
  if (!isDamage(error)) throw error
}
