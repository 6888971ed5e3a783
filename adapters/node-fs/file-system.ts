/**
 * The few calls of a file system on which this adapter stands, and those of Node. Everything else here goes through this
 * interface, so that tests can run the whole adapter on a model that loses unsynced writes.
 *
 * A file system has to promise this:
 * - `open(…, 'create')` and `link` fail with EEXIST when the name is taken, also when two processes try at once.
 * - `rename` within a directory is one step: the file has the old name or the new one. (It is never used to replace a file.)
 * - Bytes for which `fdatasync` has resolved survive power loss, and so do the names in a directory after `syncDirectory`.
 *   Without these calls anything may be lost, kept or torn.
 * - Every reader on the same machine sees written bytes at once. (Network file systems do not promise this.)
 * - Names that were in a directory before `names` was called, and stay in it, are in the answer.
 *
 * Calls reject with Node's own errors (`code: 'ENOENT'`, …), and errors.ts makes `TidemarkError`s of them.
 */
import fs from 'node:fs'

/** The kind of a name in a directory. */
export type FileKind = 'file' | 'directory' | 'other'

/** The facts about a name in a directory. */
export interface FileStat {
  /** Its kind. */
  readonly kind: FileKind
  /** Its length in bytes. */
  readonly size: number
  /** When it was last written, in milliseconds since 1970. */
  readonly modifiedMs: number
}

/** The calls of a file system on which `nodeFs` stands. */
export interface FileSystem {
  /**
   * Opens a file. `read`: to read only. `update`: an existing file, to read and write. `create`: a new file, to read and
   * write. A symbolic link as the last part of the path is an error (ELOOP, EEXIST), and never followed.
   */
  open(path: string, how: 'read' | 'update' | 'create'): Promise<number>
  /** Reads from `position` on, and resolves to the number of bytes, 0 at the end. */
  read(fd: number, into: Uint8Array, position: number): Promise<number>
  /**
   * Opens a file as `open` does to read it, reads from `position` on, closes it, and returns the number of bytes: all in this
   * very turn. It throws what they reject with.
   * @default reads are waited for
   */
  readonly readNow?: ((path: string, into: Uint8Array, position: number) => number) | undefined
  /** Writes at `position`, perhaps not all, and resolves to the number of bytes. */
  write(fd: number, bytes: Uint8Array, position: number): Promise<number>
  /** Makes the bytes of a file durable. */
  fdatasync(fd: number): Promise<void>
  /** Gives back the space beyond `length`. */
  truncate(fd: number, length: number): Promise<void>
  /** The facts about an open file. */
  stat(fd: number): Promise<FileStat>
  /** Closes a file. */
  close(fd: number): Promise<void>
  /** Looks at the name itself, so that a symbolic link is `other`. */
  lstat(path: string): Promise<FileStat>
  /** Gives a file a second name; an error (EEXIST) when that is taken. */
  link(existing: string, name: string): Promise<void>
  /** Gives a file another name in the same directory. */
  rename(from: string, to: string): Promise<void>
  /** Removes the name of a file. */
  unlink(path: string): Promise<void>
  /** Makes a directory; its parent has to exist. */
  mkdir(path: string): Promise<void>
  /** Removes a directory; it has to be empty. */
  rmdir(path: string): Promise<void>
  /** The names in a directory, in any order. */
  names(path: string): Promise<readonly string[]>
  /** The names in a directory with their kinds, in any order. */
  entries(path: string): Promise<readonly { readonly name: string; readonly kind: FileKind }[]>
  /** The path without symbolic links. */
  realpath(path: string): Promise<string>
  /** Makes the names in a directory durable. It does nothing on platforms that cannot (Windows). */
  syncDirectory(path: string): Promise<void>
}

const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = fs.constants
/** The flag by which `open` follows no link. Windows has no such flag, and needs none. */
const O_NOFOLLOW = fs.constants.O_NOFOLLOW ?? 0
const FLAGS = {
  read: O_RDONLY | O_NOFOLLOW,
  update: O_RDWR | O_NOFOLLOW,
  create: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
} as const

/** Reads up to this size copy from the page cache, as a rule: that is faster than a turn of another thread. */
export const AT_ONCE = 64 << 10
/** So do writes, which need not find what they write there. */
const WRITTEN_AT_ONCE = 256 << 10

/**
 * The calls of Node. They use plain descriptors and callbacks: an append is three calls, and a `FileHandle` adds about 10 µs to
 * each (measured on Node 20). Calls that do not wait for the disk, as small writes and all that only changes or reads names, are
 * made at once: handing them to another thread and back takes some 50 µs more. Syncs never hold up the event loop, nor does
 * `unlink`, which frees the space of a file.
 */
const plain: FileSystem = {
  open: async (path, how) => fs.openSync(path, FLAGS[how], 0o666),
  async read(fd, into, position) {
    if (into.length <= AT_ONCE) return fs.readSync(fd, into, 0, into.length, position)
    return call<number>((done) => fs.read(fd, into, 0, into.length, position, done))
  },
  readNow(path, into, position) {
    const fd = fs.openSync(path, FLAGS.read)
    try {
      return fs.readSync(fd, into, 0, into.length, position)
    } finally {
      fs.closeSync(fd)
    }
  },
  async write(fd, bytes, position) {
    if (bytes.length <= WRITTEN_AT_ONCE) return fs.writeSync(fd, bytes, 0, bytes.length, position)
    return call<number>((done) => fs.write(fd, bytes, 0, bytes.length, position, done))
  },
  fdatasync: (fd) => call((done) => fs.fdatasync(fd, done)),
  truncate: (fd, length) => call((done) => fs.ftruncate(fd, length, done)),
  stat: async (fd) => statOf(fs.fstatSync(fd)),
  close: async (fd) => fs.closeSync(fd),
  lstat: async (path) => statOf(fs.lstatSync(path)),
  link: async (existing, name) => fs.linkSync(existing, name),
  rename: async (from, to) => fs.renameSync(from, to),
  unlink: (path) => call((done) => fs.unlink(path, done)),
  mkdir: async (path) => fs.mkdirSync(path),
  rmdir: async (path) => fs.rmdirSync(path),
  names: async (path) => fs.readdirSync(path),
  async entries(path) {
    const found = fs.readdirSync(path, { withFileTypes: true })
    return found.map((entry) => ({ name: entry.name, kind: kindOf(entry) }))
  },
  realpath: async (path) => fs.realpathSync.native(path),
  async syncDirectory(path) {
    if (process.platform === 'win32') return
    const fd = fs.openSync(path, O_RDONLY)
    try {
      await call<void>((done) => fs.fsync(fd, done))
    } finally {
      fs.closeSync(fd)
    }
  },
}

/**
 * The same for Node's permission model, with descriptors of `FileHandle`s. It switches `fsync` and `fdatasync` off, even for
 * files that may be written, but not those of a `FileHandle`.
 */
function withHandles(): FileSystem {
  const handles = new Map<number, fs.promises.FileHandle>()
  return {
    ...plain,
    readNow: undefined,
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

/** The file system of this process. There is one object, so that storages share what is kept of it, such as descriptors. */
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
