/**
 * Blobs: one file each, at the path that its name says.
 *
 * - A file gets its name when its bytes are durable: it is written under a temporary name, synced, and linked. A link replaces
 *   nothing, so that a name is given once.
 * - `put` resolves when the name is durable, too: its folder is synced, and every folder on the way down to it.
 */
import type { Clock } from '../../src/clock.js'
import { invalid, throwIfAborted } from '../../src/errors.js'
import type { Blobs, ByteRange } from '../../src/storage/contract.js'
import { openFile, type Descriptors, type OpenBlob } from './descriptors.js'
import { errno, guarded, isAbsent } from './errors.js'
import { AT_ONCE, type FileSystem } from './file-system.js'
import { checkName, split, temporaryName } from './names.js'
import type { Root } from './root.js'
import { listFiles } from './walk.js'
import { discard, nameOnce, readUpTo, writeAll, writeFile } from './write.js'

const PAGE = 1000

export function blobs(fs: FileSystem, root: Root, clock: Clock, descriptors: Descriptors): Blobs {
  return {
    async put(name, bytes, { signal } = {}) {
      checkName('The blob', name)
      throwIfAborted(signal)
      const path = root.place(name)
      await guarded('write', path, async () => {
        const [folder] = split(name)
        const temporary = await writeTemporary(fs, root, clock, folder, bytes, true)
        if (signal?.aborted) await discard(fs, temporary)
        throwIfAborted(signal)
        if (!(await nameOnce(fs, temporary, path))) await expectSame(fs, path, bytes)
        descriptors.forget(path)
        await fs.syncDirectory(root.place(folder))
      })
      return {}
    },

    async get(name, { range, signal } = {}) {
      checkName('The blob', name)
      if (range) checkRange(range)
      throwIfAborted(signal)
      if (!(await root.has(split(name)[0]))) return { bytes: undefined }
      const path = root.place(name)
      const read = async ({ fd, size }: OpenBlob): Promise<Uint8Array> => {
        throwIfAborted(signal)
        const offset = Math.min(range?.offset ?? 0, size)
        return readUpTo(fs, fd, offset, Math.min(range?.length ?? size, size - offset))
      }
      // Only reads of parts share a descriptor, as a blob that is read whole has no other readers.
      const bytes = guarded('read', path, () => (range ? descriptors.share(path, read) : descriptors.use(path, read)))
      return { bytes: await bytes }
    },

    getNow(name, { offset, length }) {
      if (length > AT_ONCE || !root.knows(split(name)[0])) return undefined
      checkName('The blob', name)
      const bytes = new Uint8Array(length)
      return fs.readNow?.(root.place(name), bytes, offset) === length ? bytes : undefined
    },

    async list(prefix, { after, limit = PAGE, signal } = {}) {
      throwIfAborted(signal)
      return guarded('list', root.path, () => listFiles(fs, root, prefix, after ?? '', limit, signal))
    },

    async delete(names, { signal } = {}) {
      for (const name of names) checkName('The blob', name)
      const folders = new Set<string>()
      for (const name of names) {
        throwIfAborted(signal)
        const [folder] = split(name)
        if (!(await root.has(folder))) continue
        const path = root.place(name)
        await guarded('delete', path, () => unlinkIfThere(fs, path))
        descriptors.forget(path)
        folders.add(folder)
      }
      for (const folder of folders) {
        const path = root.place(folder)
        await guarded('sync', path, () => fs.syncDirectory(path))
        await root.prune(folder)
      }
      return {}
    },
  }
}

/**
 * Writes `bytes` under a temporary name in `folder`. The folder is remembered from an earlier call, and may be gone. Then it
 * is made again, once.
 */
export async function writeTemporary(
  fs: FileSystem,
  root: Root,
  clock: Clock,
  folder: string,
  bytes: Uint8Array,
  isBlob = false,
): Promise<string> {
  for (let again = false; ; again = true) {
    await root.make(folder, isBlob)
    const path = `${root.place(folder)}/${temporaryName(clock)}`
    try {
      await writeFile(fs, path, (fd) => writeAll(fs, fd, bytes, 0))
      return path
    } catch (error) {
      if (again || !isAbsent(error)) throw error
      root.forget()
    }
  }
}

export async function readFile(fs: FileSystem, path: string): Promise<Uint8Array | undefined> {
  const file = await openFile(fs, path)
  if (!file) return undefined
  try {
    return await readUpTo(fs, file.fd, 0, file.size)
  } finally {
    await fs.close(file.fd)
  }
}

/** Checks a name that is taken: it may hold these very bytes, if an earlier put failed after its link. */
async function expectSame(fs: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const found = await readFile(fs, path)
  const same = found?.length === bytes.length && found.every((byte, i) => byte === bytes[i])
  if (!same) throw invalid(`There is another blob at ${path}. The name of a blob is used once.`)
}

async function unlinkIfThere(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.unlink(path)
  } catch (error) {
    const code = errno(error)
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return
    // A folder of that name is no blob. Linux says EISDIR of it, POSIX and macOS say EPERM.
    if (code === 'EPERM' && (await fs.lstat(path)).kind === 'directory') return
    throw error
  }
}

function checkRange({ offset, length }: ByteRange): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length)
  if (!whole || offset < 0 || length < 0) throw invalid('A range needs a whole offset and length, neither below 0.')
}
