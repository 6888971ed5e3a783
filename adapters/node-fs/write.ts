/** Reads and writes whole files and parts of them, by calls that may read or write less than they are asked to. */
import { Buffer } from 'node:buffer'
import { isTaken, linkError } from './errors.js'
import type { FileSystem } from './file-system.js'

export const ZEROS = new Uint8Array(256 << 10)

/** Whether these bytes, no more than `ZEROS` has, are all zero. */
export function isZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, ZEROS.subarray(0, bytes.length)) === 0
}

export async function writeAll(fs: FileSystem, fd: number, bytes: Uint8Array, position: number): Promise<void> {
  let rest = bytes
  let at = position
  for (;;) {
    const written = await fs.write(fd, rest, at)
    if (written >= rest.length) return
    rest = rest.subarray(written)
    at += written
  }
}

/** Reads `length` bytes, or fewer at the end of the file. */
export async function readUpTo(fs: FileSystem, fd: number, position: number, length: number): Promise<Uint8Array> {
  // This memory is not filled with zeros first, because a small file touches little of a large piece.
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
  let filled = 0
  while (filled < length) {
    const count = await fs.read(fd, bytes.subarray(filled), position + filled)
    if (count === 0) return bytes.subarray(0, filled)
    filled += count
  }
  return bytes
}

/** Makes a new file with durable bytes. Its name is durable when its folder is synced. After an error no file is left. */
export async function writeFile(fs: FileSystem, path: string, fill: (fd: number) => Promise<void>): Promise<void> {
  const fd = await fs.open(path, 'create')
  try {
    try {
      await fill(fd)
      await fs.fdatasync(fd)
    } finally {
      await fs.close(fd)
    }
  } catch (error) {
    await discard(fs, path)
    throw error
  }
}

/**
 * Gives the finished file `temporary` its final name; `false` when that is taken. The temporary name is gone afterwards. The
 * new name is durable when its folder is synced.
 */
export async function nameOnce(fs: FileSystem, temporary: string, name: string): Promise<boolean> {
  try {
    await fs.link(temporary, name)
    return true
  } catch (error) {
    if (isTaken(error)) return false
    throw linkError(error, name)
  } finally {
    await discard(fs, temporary)
  }
}

/** Unlinks a file that nobody needs. It may fail: the file then only takes room. */
export async function discard(fs: FileSystem, path: string): Promise<void> {
  await fs.unlink(path).catch(() => {})
}
