/**
 * A file system in memory that does what POSIX allows a real one to do, for tests of the node-fs adapter.
 *
 *     const disk = new ModelFs()
 *     const fs = disk.process({ onStep })                       one process: a FileSystem with descriptors of its own
 *     const storage = fileStorage(fs, '/disk', clock)
 *     fs.kill()                                                 this process ends: its calls are not answered any more
 *     const later = disk.crash({ seed })                        power loss: every process ends; what is left is in `later`
 *     const later = disk.kill()                                 every process ends; nothing is lost: the page cache stays
 *
 * - Processes on one disk see each other's writes at once. Each call takes effect in one step.
 * - After a crash, of what was not synced each write may be lost, kept, or torn at any byte or sector, and each change of a
 *   folder (create, link, rename, unlink, mkdir, rmdir) may be lost or kept, in any combination; a rename is one change.
 *   The same seed gives the same result. `crash` may be called several times, with different seeds.
 * - A sync that fails with EIO drops what it had to write, as Linux does: readers go on seeing it, a crash loses it, and
 *   the next sync succeeds without writing it; only other descriptors of the file that are open then are told, once each.
 *
 * `onStep` is called before each call takes effect, and may return a promise, which makes it a scheduler. It decides what
 * becomes of the call:
 *
 *     undefined                    it takes effect and is answered
 *     'never-sent'                 it has no effect and is never answered
 *     'reply-lost'                 it takes effect and is never answered
 *     { before: code }             it fails with this errno and has no effect (a failed sync drops what was dirty)
 *     { after: code }              it takes effect and fails with this errno
 *     { atMost: length }           a write of no more than so many bytes
 *
 * A `readOnly` process gets EROFS from every call that would change something.
 */
import type { FileStat, FileSystem } from '../../adapters/node-fs/file-system.js'
import { File, Folder, Luck, type Node } from './model-fs-disk.js'

export interface Step {
  /** Counts the calls of this process, from 0. */
  readonly index: number
  readonly call: keyof FileSystem
  readonly path: string
  /** How many bytes it makes files longer by; 0 for a new name, `undefined` for what takes no room. */
  readonly takesRoom?: number | undefined
}

export type Verdict =
  | 'never-sent'
  | 'reply-lost'
  | { readonly before: string }
  | { readonly after: string }
  | { readonly atMost: number }
  | undefined

export interface ProcessOptions {
  readonly onStep?: ((step: Step) => Verdict | Promise<Verdict>) | undefined
  readonly readOnly?: boolean
}

export type ModelProcess = FileSystem & {
  kill(): void
  /** How many files it has open. */
  readonly openFiles: number
}

interface Descriptor {
  readonly path: string
  readonly file: File
  readonly writable: boolean
  /** How many failures of syncs of the file it was told of. */
  failures: number
}

const never = new Promise<never>(() => {})

export class ModelFs {
  readonly #root: Folder
  readonly #processes: ModelProcess[] = []

  constructor(root = new Folder()) {
    this.#root = root
  }

  process(options: ProcessOptions = {}): ModelProcess {
    const process = modelProcess(this.#root, options)
    this.#processes.push(process)
    return process
  }

  crash({ seed }: { readonly seed: number }): ModelFs {
    this.kill()
    return new ModelFs(this.#root.afterCrash(new Luck(seed)))
  }

  kill(): ModelFs {
    for (const process of this.#processes) process.kill()
    return new ModelFs(this.#root)
  }

  /** Changes bytes of a file behind the back of everybody, on the disk as well. */
  damage(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const file = find(this.#root, path)
    if (!(file instanceof File)) throw failure('ENOENT', path)
    file.replace(change(file.cache.slice()))
  }

  bytes(path: string): Uint8Array {
    const file = find(this.#root, path)
    if (!(file instanceof File)) throw failure('ENOENT', path)
    return file.cache.slice()
  }
}

function modelProcess(root: Folder, { onStep, readOnly = false }: ProcessOptions): ModelProcess {
  const descriptors = new Map<number, Descriptor>()
  let nextFd = 3
  let steps = 0
  let alive = true

  async function step<T>(
    call: keyof FileSystem,
    path: string,
    act: (atMost: number) => T,
    failed?: () => void,
    takesRoom?: Step['takesRoom'],
  ): Promise<T> {
    if (!alive) return never
    const verdict = await onStep?.({ index: steps++, call, path, takesRoom })
    if (!alive || verdict === 'never-sent') return never
    if (typeof verdict === 'object' && 'before' in verdict) {
      failed?.()
      throw failure(verdict.before, path)
    }
    try {
      const result = act(typeof verdict === 'object' && 'atMost' in verdict ? verdict.atMost : Infinity)
      if (typeof verdict === 'object' && 'after' in verdict) throw failure(verdict.after, path)
      return verdict === 'reply-lost' ? never : result
    } catch (error) {
      if (verdict === 'reply-lost') return never
      throw error
    }
  }

  const writes = <T>(path: string, act: () => T): T => {
    if (readOnly) throw failure('EROFS', path)
    return act()
  }
  const of = (fd: number): Descriptor => {
    const descriptor = descriptors.get(fd)
    if (!descriptor) throw failure('EBADF', String(fd))
    return descriptor
  }
  const pathOf = (fd: number): string => descriptors.get(fd)?.path ?? String(fd)

  return {
    kill() {
      alive = false
    },
    get openFiles() {
      return descriptors.size
    },
    open: (path, how) =>
      step(
        'open',
        path,
        () => {
          let file = find(root, path)
          if (how === 'create') {
            if (file) throw failure('EEXIST', path)
            const [folder, name] = place(root, path)
            writes(path, () => folder.change({ name, node: (file = new File()) }))
          }
          if (!file) throw failure('ENOENT', path)
          if (!(file instanceof File)) throw failure('EISDIR', path)
          if (how === 'update') writes(path, () => {})
          const fd = nextFd++
          descriptors.set(fd, { path, file, writable: how !== 'read', failures: file.failures })
          return fd
        },
        undefined,
        how === 'create' ? 0 : undefined,
      ),
    read: (fd, into, position) =>
      step('read', pathOf(fd), () => {
        const part = of(fd).file.cache.subarray(position, position + into.length)
        into.set(part)
        return part.length
      }),
    write: (fd, bytes, position) =>
      step(
        'write',
        pathOf(fd),
        (atMost) => {
          const { file, writable, path } = of(fd)
          if (!writable) throw failure('EBADF', path)
          const part = bytes.subarray(0, atMost)
          file.write(position, part)
          return part.length
        },
        undefined,
        growth(descriptors.get(fd), position + bytes.length),
      ),
    fdatasync: (fd) =>
      step(
        'fdatasync',
        pathOf(fd),
        () => {
          const descriptor = of(fd)
          const { file, path, failures } = descriptor
          file.sync()
          descriptor.failures = file.failures
          if (failures !== file.failures) throw failure('EIO', path)
        },
        () => {
          const descriptor = of(fd)
          descriptor.file.failSync()
          descriptor.failures = descriptor.file.failures
        },
      ),
    truncate: (fd, length) => step('truncate', pathOf(fd), () => of(fd).file.truncate(length)),
    stat: (fd) => step('stat', pathOf(fd), () => statOf(of(fd).file)),
    close: (fd) => step('close', pathOf(fd), () => void (of(fd) && descriptors.delete(fd))),
    lstat: (path) => step('lstat', path, () => statOf(existing(root, path))),
    link: (from, to) =>
      step(
        'link',
        to,
        () => {
          const node = existing(root, from)
          const [folder, name] = place(root, to)
          if (folder.names.has(name)) throw failure('EEXIST', to)
          writes(to, () => folder.change({ name, node }))
        },
        undefined,
        0,
      ),
    rename: (from, to) =>
      step('rename', to, () => {
        const node = existing(root, from)
        const [folder, name] = place(root, to)
        const [before, old] = place(root, from)
        if (before !== folder) throw failure('EXDEV', to)
        writes(to, () => folder.change({ name, node, from: old }))
      }),
    unlink: (path) =>
      step('unlink', path, () => {
        if (existing(root, path) instanceof Folder) throw failure('EISDIR', path)
        const [folder, name] = place(root, path)
        writes(path, () => folder.change({ name, node: undefined }))
      }),
    mkdir: (path) =>
      step(
        'mkdir',
        path,
        () => {
          if (find(root, path)) throw failure('EEXIST', path)
          const [folder, name] = place(root, path)
          writes(path, () => folder.change({ name, node: new Folder() }))
        },
        undefined,
        0,
      ),
    rmdir: (path) =>
      step('rmdir', path, () => {
        const node = folderAt(root, path)
        if (node.names.size > 0) throw failure('ENOTEMPTY', path)
        const [folder, name] = place(root, path)
        writes(path, () => folder.change({ name, node: undefined }))
      }),
    names: (path) => step('names', path, () => [...folderAt(root, path).names.keys()]),
    entries: (path) =>
      step('entries', path, () => [...folderAt(root, path).names].map(([name, { kind }]) => ({ name, kind }))),
    realpath: (path) =>
      step('realpath', path, () => {
        existing(root, path)
        return path
      }),
    syncDirectory: (path) => step('syncDirectory', path, () => folderAt(root, path).sync()),
  }
}

function growth(descriptor: Descriptor | undefined, end: number): number | undefined {
  const bytes = end - (descriptor?.file.cache.length ?? 0)
  return bytes > 0 ? bytes : undefined
}

function failure(code: string, path: string): Error {
  // A simulation makes thousands of errors and looks at no stack, which is what takes time.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  const error = Object.assign(new Error(`${code}: ${path}`), { code })
  Error.stackTraceLimit = stackTraceLimit
  return error
}

function statOf(node: Node): FileStat {
  return { kind: node.kind, size: node instanceof File ? node.cache.length : 0, modifiedMs: 0 }
}

function find(root: Folder, path: string): Node | undefined {
  let node: Node | undefined = root
  for (let start = 0, end: number; node && start < path.length; start = end + 1) {
    end = path.indexOf('/', start)
    if (end < 0) end = path.length
    if (end === start) continue
    if (node instanceof File) throw failure('ENOTDIR', path)
    node = node.names.get(path.slice(start, end))
  }
  return node
}

function existing(root: Folder, path: string): Node {
  const node = find(root, path)
  if (!node) throw failure('ENOENT', path)
  return node
}

function folderAt(root: Folder, path: string): Folder {
  const node = existing(root, path)
  if (node instanceof File) throw failure('ENOTDIR', path)
  return node
}

/** The folder that a path is in, and its last part. */
function place(root: Folder, path: string): [folder: Folder, name: string] {
  const slash = path.lastIndexOf('/')
  return [folderAt(root, path.slice(0, slash)), path.slice(slash + 1)]
}
