/**
 * The descriptors through which blobs are read. Reads of parts of one blob that overlap in time share one, and the last of
 * them closes it. At most `MOST` are open at once; a read that needs another one waits.
 *
 * A blob that is removed while it is read can be read to the end. That does no harm, as bytes under a name never change.
 */
import { Turns } from '../../src/storage/turns.js'
import { errno, isAbsent } from './errors.js'
import type { FileSystem } from './file-system.js'

/** How many are open at once. A process may have 256 files open on macOS and 1,024 on Linux; more make nothing quicker. */
const MOST = 64
/** How many calls are made at once. Each has one file open, or two for a moment. Node works on four files at once. */
const CALLS_AT_ONCE = 32

export interface OpenBlob {
  readonly fd: number
  readonly size: number
}

interface Shared {
  readonly opened: Promise<OpenBlob | undefined>
  users: number
}

export class Descriptors {
  readonly turns = new Turns(CALLS_AT_ONCE)
  readonly #fs: FileSystem
  readonly #shared = new Map<string, Shared>()
  #free = MOST
  readonly #waiting: (() => void)[] = []

  constructor(fs: FileSystem) {
    this.#fs = fs
  }

  /** Opens the file for `act` alone; `undefined` when there is no such file. */
  async use<T>(path: string, act: (blob: OpenBlob) => Promise<T>): Promise<T | undefined> {
    const blob = await this.#open(path)
    if (blob === undefined) return undefined
    try {
      return await act(blob)
    } finally {
      await this.#close(blob)
    }
  }

  /** The same, with the descriptor through which others read the file at this moment, if there is one. */
  async share<T>(path: string, act: (blob: OpenBlob) => Promise<T>): Promise<T | undefined> {
    const found = this.#shared.get(path)
    const shared = found ?? { opened: this.#open(path), users: 0 }
    if (!found) this.#shared.set(path, shared)
    shared.users++
    let blob: OpenBlob | undefined
    try {
      blob = await shared.opened
      if (blob) return await act(blob)
    } finally {
      if (--shared.users === 0) {
        this.forget(path, shared)
        if (blob) await this.#close(blob)
      }
    }
    // The others may have found nothing before the file came.
    return found && this.use(path, act)
  }

  /** Makes later reads open `path` anew, as it was written or removed. */
  forget(path: string, shared = this.#shared.get(path)): void {
    if (shared === this.#shared.get(path)) this.#shared.delete(path)
  }

  async #open(path: string): Promise<OpenBlob | undefined> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => void this.#waiting.push(resolve))
    let blob: OpenBlob | undefined
    try {
      return (blob = await openFile(this.#fs, path))
    } finally {
      if (blob === undefined) this.#pass()
    }
  }

  async #close({ fd }: OpenBlob): Promise<void> {
    try {
      await this.#fs.close(fd)
    } finally {
      this.#pass()
    }
  }

  #pass(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free++
  }
}

const known = new WeakMap<FileSystem, Descriptors>()

/** The descriptors of a file system. All storages of a process share them. */
export function descriptorsOf(fs: FileSystem): Descriptors {
  let descriptors = known.get(fs)
  if (descriptors === undefined) known.set(fs, (descriptors = new Descriptors(fs)))
  return descriptors
}

/** Opens a plain file to read it; `undefined` when there is none. */
export async function openFile(fs: FileSystem, path: string): Promise<OpenBlob | undefined> {
  let fd: number
  try {
    fd = await fs.open(path, 'read')
  } catch (error) {
    if (isAbsent(error) || errno(error) === 'ENOTDIR' || errno(error) === 'EISDIR') return undefined
    throw error
  }
  try {
    const { kind, size } = await fs.stat(fd)
    if (kind === 'file') return { fd, size }
  } catch (error) {
    await fs.close(fd)
    throw error
  }
  await fs.close(fd)
  return undefined
}
