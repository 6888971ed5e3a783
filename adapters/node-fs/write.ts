/** Writing whole files, and parts of them, when a single call may write less than it was given. */
import { Buffer } from 'node:buffer'
import { isTaken, linkError } from './errors.js'
import type { FileSystem } from './file-system.js'

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
  // Not filled with zeros first: of a large piece of a small file little is ever touched.
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
  let filled = 0
  while (filled < length) {
    const count = await fs.read(fd, bytes.subarray(filled), position + filled)
    if (count === 0) return bytes.subarray(0, filled)
    filled += count
  }
  return bytes
}

/** Makes a new file whose bytes are durable; its name is not before its folder is synced. Leaves nothing behind on an error. */
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
 * Gives the finished file `temporary` its final name, unless that is taken: `false` then. The temporary name is gone
 * afterwards. The new name is durable when its folder is synced.
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

/** Unlinks what nobody needs any more; that it may fail does not matter, it only takes room then. */
export async function discard(fs: FileSystem, path: string): Promise<void> {
  await fs.unlink(path).catch(() => {})
}
