/** Finds the storage that a person names. */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { nodeFs } from '../../adapters/node-fs/index.js'
import type { Clock } from '../clock.js'
import { TidemarkError, invalid } from '../errors.js'
import type { Storage } from '../storage/contract.js'
import { inBucket } from './bucket.js'

export interface PlaceOptions {
  /** Whether the place need not be there yet. */
  readonly make?: boolean | undefined
  /** The URL of a storage that is not AWS, for an s3:// address. */
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
}

interface Surroundings {
  readonly cwd: string
  readonly clock: Clock
}

/** The storage at a path or an s3:// address. Nothing is made by looking. */
export async function storageAt(where: string, options: PlaceOptions & Surroundings): Promise<Storage> {
  if (/^s3:\/\//i.test(where)) return inBucket(where, options)
  const scheme = schemeOf(where)
  if (scheme !== undefined) throw noFolder(scheme)
  if (where === '')
    throw invalid('An empty path names no folder; give the folder that holds the store, "." for this one.')
  return inFolder(where, options)
}

/** The scheme of an address; `undefined` for a path. On Windows a single letter is a drive. */
export function schemeOf(text: string, platform: NodeJS.Platform = process.platform): string | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase()
  return scheme?.length === 1 && platform === 'win32' ? undefined : scheme
}

/** The error for an address of another scheme. It does not repeat the address, which may hold a password. */
function noFolder(scheme: string): TidemarkError {
  if (scheme === 's3') return invalid('An S3 address begins with s3:// and the name of the bucket: s3://bucket/prefix.')
  return invalid(
    `What begins with "${scheme}:" is read as an address, and there are none but s3://bucket/prefix; a folder of such a name is given as ./${scheme}:…`,
  )
}

/** The path of a file that a person names. */
export function pathOfFile(file: string, cwd: string): string {
  const scheme = schemeOf(file)
  if (scheme === undefined) return resolve(cwd, file)
  throw invalid(
    `An archive is a file, and a name that begins with "${scheme}:" is read as an address. Write the archive to - and send it on from there, or give the path of a file.`,
  )
}

/** The storage of a folder, which has to be there unless it may be made. */
async function inFolder(where: string, { cwd, make }: PlaceOptions & Surroundings): Promise<Storage> {
  const folder = resolve(cwd, where)
  // The adapter describes all other errors better.
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => error)
  if (!(found instanceof Error)) {
    if (!found.isDirectory()) throw invalid(`${where} is a file; give the folder that holds the store.`)
  } else if (found.code === 'ENOTDIR' || (found.code === 'ENOENT' && !make)) {
    throw new TidemarkError('NOT_FOUND', `There is no folder ${where}; check the path.`)
  }
  return nodeFs(folder)
}
