/**
 * Taking away what nobody needs, and noting what is there to stay. Nothing here is needed for what a log holds: whoever
 * dies on the way leaves files that take room until the next time.
 */
import { dirname } from 'node:path'
import { isFull } from '../../../src/errors.js'
import { fileError, isAbsent, isTaken } from '../errors.js'
import {
  NOTHING,
  leftovers,
  markerName,
  parseNames,
  pastName,
  trimName,
  type Listing,
  type LogDirectory,
} from './directory.js'
import type { LogRules } from './rules.js'
import { discard } from '../write.js'

const SPARE = '.spare'
/** A temporary file that was not written to for so long is taken for that of a process which has died. */
const ABANDONED_MS = 600_000
/** How often somebody may write into a folder that is being destroyed. */
const MOST_TRIES = 10

/** Makes it durable that entries up to n are removed. */
export async function recordTrim(directory: LogDirectory, n: number): Promise<void> {
  const place = directory.place(trimName(n))
  try {
    await directory.fs.close(await directory.fs.open(place, 'create'))
  } catch (error) {
    if (!isTaken(error)) {
      // Where there is no room for another name, the one of the trim before becomes that of this.
      const { trim, names } = await directory.list()
      if (!names.includes(trimName(trim)) || trim >= n || !isFull(fileError(error, 'write', place))) throw error
      await directory.fs.rename(directory.place(trimName(trim)), place)
    }
  }
  await directory.sync()
}

/**
 * Unlinks files that hold nothing any more, and what former owners and trims left lying about. The temporary file of a claim
 * may be in use; that one has waited so long that its process is hardly alive, and if it is, it claims anew. The rest says by
 * its names what has been there: should the last file get lost, nobody takes the one before it for the end of the history.
 */
export async function tidy(directory: LogDirectory, rules: LogRules, now: number): Promise<void> {
  const listing = await directory.list()
  const top = listing.files.at(-1)
  if (!top || top.isPast) return
  const oldTrims = listing.names.filter((name) => name.startsWith('trim.') && name < trimName(listing.trim))
  const files = unneededFiles(listing)
  const unneeded = [...files, ...leftovers(listing.names, top.g, 'owner'), ...oldTrims]
  for (const name of leftovers(listing.names, top.g, 'temp')) {
    const since = await directory.fs.lstat(directory.place(name)).catch(() => undefined)
    if (since && now - since.modifiedMs > ABANDONED_MS) unneeded.push(name)
  }
  const passed = listing.files.filter((file) => file !== top && !file.isPast && !files.includes(file.name))
  // A file goes only when the one that replaces it is there to stay.
  if (unneeded.length + passed.length > 0) await directory.sync()
  for (const name of unneeded) {
    if (rules.freshFiles || !files.includes(name)) await discard(directory.fs, directory.place(name))
    else await directory.fs.rename(directory.place(name), `${directory.temporary(top.g)}${SPARE}`)
  }
  for (const { name } of passed) {
    await directory.fs.rename(directory.place(name), directory.place(pastName(name))).catch(noneIfAbsent)
  }
  if (!listing.names.includes(trimName(listing.trim))) await recordTrim(directory, listing.trim)
}

/** What `freshFiles` rules out: begins a file over one that nobody needs any more. `false` when there is none. */
export async function takeSpare(directory: LogDirectory, temporary: string): Promise<boolean> {
  const spare = (await directory.list()).names.find((name) => name.endsWith(SPARE))
  if (spare !== undefined) await directory.fs.rename(directory.place(spare), temporary)
  return spare !== undefined
}

/**
 * Each file holds all from its first entry on that the file after it leaves out (log-view.ts). So it is needed only for
 * entries from there up to the first of the next one that is kept, and for those not if they were trimmed.
 */
function unneededFiles({ files, trim }: Listing): string[] {
  const unneeded: string[] = []
  let keptFrom = files.at(-1)!.first
  for (const { name, first } of files.slice(0, -1).reverse()) {
    if (first >= keptFrom || keptFrom - 1 <= trim) unneeded.push(name)
    else keptFrom = first
  }
  return unneeded
}

/** Removes the log: its owner is fenced first, and the history gets shorter from its beginning. */
export async function destroyLog(directory: LogDirectory): Promise<void> {
  const { fs } = directory
  const before = await directory.list()
  if (before.names.length > 0) await fence(directory, before)
  for (let tries = 1; ; tries++) {
    const { names, files } = parseNames(await fs.names(directory.path).catch(noneIfAbsent))
    const logs = files.map((file) => file.name)
    const markers = names.filter((name) => name.startsWith('owner.')).sort()
    const others = names.filter((name) => !logs.includes(name) && !markers.includes(name))
    for (const name of [...others, ...logs, ...markers]) await fs.unlink(directory.place(name)).catch(noneIfAbsent)
    try {
      await fs.rmdir(directory.path)
      break
    } catch (error) {
      if (isAbsent(error)) break
      if (tries === MOST_TRIES) throw error
    }
  }
  directory.forget()
  const parent = dirname(directory.path)
  await fs.syncDirectory(parent).catch(noneIfAbsent)
  // Folders stay when there are blobs in them.
  const below = await fs.names(parent).catch(noneIfAbsent)
  for (const name of below) await fs.rmdir(`${parent}/${name}`).catch(() => {})
  await fs.rmdir(parent).catch(() => {})
}

/** Ends the right of the owner to write. Without room for a marker that of the owner itself becomes a newer one. */
async function fence(directory: LogDirectory, { newest, names }: Listing): Promise<void> {
  try {
    await directory.mark(newest + 1, NOTHING)
  } catch (error) {
    if (!isFull(fileError(error, 'write', directory.path))) throw error
    const marker = markerName(newest)
    if (!names.includes(marker)) throw error
    await directory.fs.rename(directory.place(marker), directory.place(markerName(newest + 1)))
    await directory.sync()
  }
}

function noneIfAbsent(error: unknown): [] {
  if (isAbsent(error)) return []
  throw error
}
