/** Finding the storage that a person names, and the store in it. */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { nodeFs } from '../../adapters/node-fs/index.js'
import type { Clock } from '../clock.js'
import { TidemarkError, invalid } from '../errors.js'
import type { Storage } from '../storage/contract.js'
import { listStores } from '../tools/stores.js'
import { inBucket } from './bucket.js'

export interface PlaceOptions {
  /** A place that need not be there yet. */
  readonly make?: boolean | undefined
  /** Of an s3:// address: the URL of a storage that is not AWS. */
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
}

interface Surroundings {
  readonly cwd: string
  readonly clock: Clock
}

/** The storage at a path or an s3:// address. Nothing is made by looking. */
export async function storageAt(where: string, options: PlaceOptions & Surroundings): Promise<Storage> {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(where)?.[1]?.toLowerCase()
  if (scheme === undefined) return inFolder(where, options)
  if (scheme === 's3') return inBucket(where, options)
  // Not the address itself: it may hold a password.
  throw invalid(`Nothing is read from ${scheme}:// addresses; give the path of a folder, or s3://bucket/prefix.`)
}

/** The folder has to be there unless it may be made. */
async function inFolder(where: string, { cwd, make }: PlaceOptions & Surroundings): Promise<Storage> {
  const folder = resolve(cwd, where)
  // What else can go wrong here, the adapter says better.
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => error)
  if (!(found instanceof Error)) {
    if (!found.isDirectory()) throw invalid(`${where} is a file; give the folder that holds the store.`)
  } else if (found.code === 'ENOTDIR' || (found.code === 'ENOENT' && !make)) {
    throw new TidemarkError('NOT_FOUND', `There is no folder ${where}; check the path.`)
  }
  return nodeFs(folder)
}

/** The name of the one store in a storage. What is left of another does not count beside it. */
export async function onlyStore(storage: Storage, where: string): Promise<string> {
  const stores = await listStores(storage)
  const whole = stores.filter(({ incomplete }) => !incomplete)
  const names = (whole.length > 0 ? whole : stores).map(({ name }) => name)
  if (names.length > 1) {
    throw invalid(`There are ${names.length} stores in ${where}: ${names.join(', ')}. Choose one with --store.`)
  }
  if (names.length === 0) throw new TidemarkError('NOT_FOUND', `There is no store in ${where}; check the path.`)
  return names[0]!
}
