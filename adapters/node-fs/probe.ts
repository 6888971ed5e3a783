/**
 * Checks by a few calls that the file system has what the adapter needs: a file is created and linked once, links and renames
 * keep the bytes, names stay as they are, and parts are read from their place. Nothing has to be durable here, so nothing is
 * synced. All names are temporary ones, which no listing shows.
 */
import type { Clock } from '../../src/clock.js'
import { TidemarkError } from '../../src/errors.js'
import { isTaken, linkError } from './errors.js'
import type { FileSystem } from './file-system.js'
import { temporaryName } from './names.js'
import type { Root } from './root.js'
import { discard, readUpTo, writeAll } from './write.js'

/** A name as long as the longest that the adapter gives, with letters of both cases. */
const LONG = '.Name-that-is-as-long-as-that-of-a-log-File'

const ONE = bytesFrom(1)
const OTHER = bytesFrom(101)

export async function probe(fs: FileSystem, root: Root, clock: Clock, folder: string): Promise<void> {
  await root.make(folder)
  const name = temporaryName(clock) + LONG
  const [one, other, linked, renamed] = ['1', '2', '3', '4'].map((end) => `${root.place(folder)}/${name}${end}`) as [
    string,
    string,
    string,
    string,
  ]
  const refuse = (did: string): never => {
    throw unsafe(root.place(folder), did)
  }
  try {
    await write(fs, one, ONE)
    if (!(await isRefused(() => write(fs, one, OTHER)))) refuse('created a file whose name was taken')
    await write(fs, other, OTHER)
    await fs.link(one, linked).catch((error: unknown) => {
      throw linkError(error, linked)
    })
    if (!(await isRefused(() => fs.link(other, linked)))) refuse('gave a file a name that was taken')
    await fs.rename(other, renamed)
    const names = (await fs.names(root.place(folder))).filter((found) => found.slice(0, 17) === name.slice(0, 17))
    if (names.sort().join() !== ['1', '3', '4'].map((end) => name + end).join()) refuse('changed the names of files')
    for (const [path, bytes] of [
      [linked, ONE],
      [renamed, OTHER],
    ] as const) {
      if (!(await holds(fs, path, bytes))) refuse('returned other bytes than were written there')
    }
  } finally {
    for (const path of [one, other, linked, renamed]) await discard(fs, path)
  }
}

async function write(fs: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const fd = await fs.open(path, 'create')
  try {
    await writeAll(fs, fd, bytes, 0)
  } finally {
    await fs.close(fd)
  }
}

async function isRefused(act: () => Promise<void>): Promise<boolean> {
  try {
    await act()
    return false
  } catch (error) {
    if (isTaken(error)) return true
    throw error
  }
}

/** Whether the file gives these bytes, whole and in part. */
async function holds(fs: FileSystem, path: string, bytes: Uint8Array): Promise<boolean> {
  const fd = await fs.open(path, 'read')
  try {
    for (const [from, to] of [
      [0, bytes.length],
      [17, 40],
    ] as const) {
      const part = await readUpTo(fs, fd, from, to - from)
      if (part.length !== to - from || part.some((byte, i) => byte !== bytes[from + i])) return false
    }
    return true
  } finally {
    await fs.close(fd)
  }
}

function bytesFrom(first: number): Uint8Array {
  return Uint8Array.from({ length: 64 }, (_, i) => first + i)
}

function unsafe(folder: string, did: string): TidemarkError {
  return new TidemarkError(
    'STORAGE_UNSAFE',
    `The file system of ${folder} ${did}. Two writers could overwrite each other's commits there. Nothing was stored; use a folder on a local file system.`,
  )
}
