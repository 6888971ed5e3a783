/**
 * Removes files that nobody needs, and records trims. The content of a log does not depend on it: a process that dies on the
 * way leaves files that take room until the next time.
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
import { discard } from '../write.js'

/** A temporary file to which nothing was written for so long counts as that of a dead process. */
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
      // Where there is no room for another name, the record of the trim before is renamed.
      const { trim, names } = await directory.list()
      if (!names.includes(trimName(trim)) || trim >= n || !isFull(fileError(error, 'write', place))) throw error
      await directory.fs.rename(directory.place(trimName(trim)), place)
    }
  }
  await directory.sync()
}

/**
 * Unlinks files whose entries are not needed, and leftovers of former owners and trims. The temporary file of a claim may be in
 * use, so it goes only after a long time; if its process is alive all the same, that claims anew. The files that stay get a name
 * that says that a later one was there: should the last file get lost, nobody takes the one before for the end of the history.
 */
export async function tidy(directory: LogDirectory, now: number): Promise<void> {
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
  // A file goes only when the one that replaces it is durable.
  if (unneeded.length + passed.length > 0) await directory.sync()
  for (const name of unneeded) await discard(directory.fs, directory.place(name))
  for (const { name } of passed) {
    await directory.fs.rename(directory.place(name), directory.place(pastName(name))).catch(noneIfAbsent)
  }
  if (!listing.names.includes(trimName(listing.trim))) await recordTrim(directory, listing.trim)
}

/**
 * The files that are not needed. Each file holds all entries from its first one on that the file after it leaves out (view.ts).
 * So it is needed only for the entries up to the first one of the next file that is kept, and not for trimmed ones.
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

/** Removes the log. Its owner is fenced first; then the history gets shorter from its beginning. */
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

/** Ends the owner's right to write by a newer marker. Without room for one the owner's own marker is renamed to be newer. */
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
