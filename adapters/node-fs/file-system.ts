/**
 * The few calls of a file system that this adapter stands on, and the real one. Everything else here goes through this
 * interface, so that tests run the whole adapter on a model that loses what was not synced.
 *
 * A file system has to promise this:
 * - `open(…, 'create')` and `link` fail with EEXIST when the name is taken, also when two processes try at once.
 * - `rename` within a directory replaces nothing here and is one step: the file has the old name or the new one.
 * - What `fdatasync` resolved for survives power loss, and so do the names in a directory after `syncDirectory`. Without
 *   them anything may be lost, kept or torn.
 * - Written bytes are seen at once by every reader on the same machine. (Network file systems do not promise this.)
 * - Names that were in a directory before `names` was called and stay in it are in the answer.
 *
 * Calls reject with Node's own errors (`code: 'ENOENT'`, …); errors.ts makes `TidemarkError`s of them.
 */
import fs from 'node:fs'

export type FileKind = 'file' | 'directory' | 'other'

export interface FileStat {
  readonly kind: FileKind
  readonly size: number
  readonly modifiedMs: number
}

export interface FileSystem {
  /**
   * `read`: for reading only. `update`: an existing file, for both. `create`: a new file, for both. A symbolic link as
   * the last part of the path is an error (ELOOP, EEXIST), never followed.
   */
  open(path: string, how: 'read' | 'update' | 'create'): Promise<number>
  /** Reads from `position` on; resolves to how many bytes, 0 at the end. */
  read(fd: number, into: Uint8Array, position: number): Promise<number>
  /** May write less than all; resolves to how many bytes. */
  write(fd: number, bytes: Uint8Array, position: number): Promise<number>
  fdatasync(fd: number): Promise<void>
  /** Gives back what lies beyond `length`. */
  truncate(fd: number, length: number): Promise<void>
  stat(fd: number): Promise<FileStat>
  close(fd: number): Promise<void>
  /** Looks at the name itself: a symbolic link is `other`. */
  lstat(path: string): Promise<FileStat>
  link(existing: string, name: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  mkdir(path: string): Promise<void>
  rmdir(path: string): Promise<void>
  names(path: string): Promise<readonly string[]>
  entries(path: string): Promise<readonly { readonly name: string; readonly kind: FileKind }[]>
  realpath(path: string): Promise<string>
  /** Makes the names in a directory durable. Does nothing on platforms that cannot (Windows). */
  syncDirectory(path: string): Promise<void>
}

const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = fs.constants
/** 0 on Windows, which has neither links that `open` would follow unasked nor the flag. */
const O_NOFOLLOW = fs.constants.O_NOFOLLOW ?? 0
const FLAGS = {
  read: O_RDONLY | O_NOFOLLOW,
  update: O_RDWR | O_NOFOLLOW,
  create: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
} as const

/** Writes up to this size only copy into the page cache: that is faster than a turn of another thread. */
const AT_ONCE = 64 << 10

/**
 * Plain descriptors and callbacks, not `FileHandle`s: an append is three calls, and a `FileHandle` adds about 10 µs to each
 * (measured on Node 20). What does not wait for the disk, as small writes and the names in a folder, is done at once: handing
 * it to another thread and back takes some 50 µs more. Syncs never hold up the event loop.
 */
const plain: FileSystem = {
  open: (path, how) => call((done) => fs.open(path, FLAGS[how], 0o666, done)),
  read: (fd, into, position) => call((done) => fs.read(fd, into, 0, into.length, position, done)),
  async write(fd, bytes, position) {
    if (bytes.length <= AT_ONCE) return fs.writeSync(fd, bytes, 0, bytes.length, position)
    return call<number>((done) => fs.write(fd, bytes, 0, bytes.length, position, done))
  },
  fdatasync: (fd) => call((done) => fs.fdatasync(fd, done)),
  truncate: (fd, length) => call((done) => fs.ftruncate(fd, length, done)),
  stat: async (fd) => statOf(await call<fs.Stats>((done) => fs.fstat(fd, done))),
  close: (fd) => call((done) => fs.close(fd, done)),
  lstat: async (path) => statOf(await call<fs.Stats>((done) => fs.lstat(path, done))),
  link: (existing, name) => call((done) => fs.link(existing, name, done)),
  rename: (from, to) => call((done) => fs.rename(from, to, done)),
  unlink: (path) => call((done) => fs.unlink(path, done)),
  mkdir: (path) => call((done) => fs.mkdir(path, (error) => done(error))),
  rmdir: (path) => call((done) => fs.rmdir(path, done)),
  names: async (path) => fs.readdirSync(path),
  async entries(path) {
    const found = await call<fs.Dirent[]>((done) => fs.readdir(path, { withFileTypes: true }, done))
    return found.map((entry) => ({ name: entry.name, kind: kindOf(entry) }))
  },
  realpath: (path) => call((done) => fs.realpath.native(path, done)),
  async syncDirectory(path) {
    if (process.platform === 'win32') return
    const fd = await call<number>((done) => fs.open(path, O_RDONLY, done))
    try {
      await call<void>((done) => fs.fsync(fd, done))
    } finally {
      await call<void>((done) => fs.close(fd, done))
    }
  },
}

/**
 * Under Node's permission model `fsync` and `fdatasync` are switched off, also for what may be written; those of `FileHandle`s
 * are not. So descriptors come from them there.
 */
function withHandles(): FileSystem {
  const handles = new Map<number, fs.promises.FileHandle>()
  return {
    ...plain,
    async open(path, how) {
      const handle = await fs.promises.open(path, FLAGS[how], 0o666)
      handles.set(handle.fd, handle)
      return handle.fd
    },
    fdatasync: (fd) => handles.get(fd)!.datasync(),
    async close(fd) {
      const handle = handles.get(fd)!
      handles.delete(fd)
      await handle.close()
    },
    async syncDirectory(path) {
      if (process.platform === 'win32') return
      const handle = await fs.promises.open(path, O_RDONLY)
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
    },
  }
}

let chosen: FileSystem | undefined

/** The one of this process: all that share it share what they keep of it. */
export function nodeFileSystem(): FileSystem {
  return (chosen ??= 'permission' in process && process.permission ? withHandles() : plain)
}

type Done<T> = (error: NodeJS.ErrnoException | null, value?: T) => void

function call<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value as T)))
  })
}

function statOf(stat: fs.Stats): FileStat {
  return { kind: kindOf(stat), size: stat.size, modifiedMs: stat.mtimeMs }
}

function kindOf(entry: { isFile(): boolean; isDirectory(): boolean }): FileKind {
  return entry.isFile() ? 'file' : entry.isDirectory() ? 'directory' : 'other'
}
