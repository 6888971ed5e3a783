/**
 * The directory in which a storage lives, and the folders below it.
 *
 * - Reading makes nothing, as a follower may lack the permission to write. A missing folder is an answer.
 * - Writing makes folders, and syncs the parent of each on the way, also of folders that it finds: another process may have
 *   made one a moment ago and not have synced it yet. Only what is written after that, such as the marker of an owner, shows
 *   that it was done.
 * - No folder that leads out of the root is entered. Each is resolved once and remembered. This guards against an accident
 *   with symbolic links, not against somebody who changes folders while the storage runs.
 */
import { dirname, join, relative, resolve, sep, isAbsolute } from 'node:path'
import { TidemarkError, invalid } from '../../src/errors.js'
import { NOT_PERMITTED, errno, guarded, isAbsent, isTaken } from './errors.js'
import type { FileSystem } from './file-system.js'
import { LOG_FOLDER, split } from './names.js'

/** How often a folder may be removed while those below it are made. */
const MOST_TRIES = 10

export class Root {
  readonly path: string
  readonly #fs: FileSystem
  #real: string | undefined
  /** Folders that lie inside the root, and those among them whose way up to the root is durable. */
  readonly #inside = new Set<string>()
  readonly #durable = new Set<string>()
  /** The paths of logs that were there once. */
  readonly #logs = new Set<string>()

  constructor(fs: FileSystem, directory: string) {
    if (typeof directory !== 'string' || directory === '') throw invalid('nodeFs needs the path of a directory.')
    if (/^[a-z][a-z0-9+.-]+:\/\//i.test(directory))
      throw invalid('nodeFs takes the path of a directory, not an address; for s3:// there is s3() of tidemark/s3.')
    this.#fs = fs
    this.path = resolve(directory)
  }

  /** The path of a checked name. */
  place(name: string): string {
    return join(this.path, name)
  }

  /** Whether the folder was found to lie inside. */
  knows(folder: string): boolean {
    return this.#inside.has(folder)
  }

  /** Whether the folder exists. Throws when that leads out of the root. */
  async has(folder: string): Promise<boolean> {
    if (this.#inside.has(folder)) return true
    const path = this.place(folder)
    return guarded('open', path, async () => {
      const root = await this.#realRoot()
      if (root === undefined) return false
      let real: string
      try {
        real = await this.#fs.realpath(path)
      } catch (error) {
        if (isAbsent(error) || errno(error) === 'ENOTDIR') return false
        throw error
      }
      this.#refuseOutside(root, real, path)
      this.#inside.add(folder)
      return true
    })
  }

  /** Takes note of a log. No blob makes its folder anew from now on, since ids of logs are never used again. */
  knowsLog(path: string): void {
    this.#logs.add(path)
  }

  /** Takes note that the way up from a folder is durable, as what was found in it shows. */
  isDurable(folder: string): void {
    for (let below = folder; !this.#durable.has(below); [below] = split(below)) this.#durable.add(below)
  }

  /**
   * Makes the folder and those above it, where they are missing, and makes all of them durable. For a blob whose log was there
   * and is gone it throws `ROLLED_BACK`: the blob would be left of a store that nobody can open.
   */
  async make(folder: string, isForBlob = false): Promise<void> {
    if (this.#durable.has(folder)) return
    await guarded('create', this.place(folder), async () => {
      for (let tries = 1; ; tries++) {
        try {
          return await this.#makeAll(folder, isForBlob)
        } catch (error) {
          if (!isAbsent(error) || tries === MOST_TRIES) throw error
          // A folder was removed that is remembered.
          this.forget()
        }
      }
    })
  }

  async #makeAll(folder: string, isForBlob: boolean): Promise<void> {
    await this.#makeRoot()
    let below = ''
    for (const segment of folder === '' ? [] : folder.split('/')) {
      const parent = below
      below = below === '' ? segment : `${below}/${segment}`
      if (this.#durable.has(below)) continue
      const isNew = await this.#makeOne(this.place(below))
      if (isNew && isForBlob && this.#logs.has(below)) {
        await this.#fs.rmdir(this.place(below)).catch(() => {})
        throw removed(this.place(below))
      }
      // If somebody removes it at once, the next call finds that, and begins again.
      await this.has(below)
      await this.#fs.syncDirectory(this.place(parent))
      this.#durable.add(below)
    }
  }

  /**
   * Removes the folder if nothing is in it, and then those above it. The folders of a living log stay even if they are empty:
   * other processes remember that they are durable.
   */
  async prune(folder: string): Promise<void> {
    for (let below = folder; below !== ''; [below] = split(below)) {
      const [parent] = split(below)
      try {
        if ((await this.#fs.names(this.place(parent))).includes(LOG_FOLDER)) return
        await this.#fs.rmdir(this.place(below))
      } catch {
        return
      }
      this.forget()
    }
  }

  /** Forgets all folders, because one was found missing. */
  forget(): void {
    this.#inside.clear()
    this.#durable.clear()
    this.#real = undefined
  }

  async #makeRoot(): Promise<void> {
    if (this.#durable.has('')) return
    const missing: string[] = []
    for (let path = this.path; (await this.#realDirectory(path)) === undefined; path = dirname(path)) missing.push(path)
    for (const path of missing.toReversed()) {
      await this.#makeOne(path)
      await this.#fs.syncDirectory(dirname(path))
    }
    // The root may be as new as the folders below it. Its parent need not be ours to open.
    if (missing.length === 0) await syncForReading(this.#fs, dirname(this.path))
    await this.#realRoot()
    this.#durable.add('')
  }

  async #makeOne(path: string): Promise<boolean> {
    try {
      await this.#fs.mkdir(path)
      return true
    } catch (error) {
      if (isTaken(error)) return false
      throw error
    }
  }

  async #realRoot(): Promise<string | undefined> {
    return (this.#real ??= await this.#realDirectory(this.path))
  }

  async #realDirectory(path: string): Promise<string | undefined> {
    try {
      const real = await this.#fs.realpath(path)
      const { kind } = await this.#fs.lstat(real)
      if (kind !== 'directory') throw invalid(`${path} is not a folder. Give nodeFs the path of a folder, or of none.`)
      return real
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw error
    }
  }

  #refuseOutside(root: string, real: string, path: string): void {
    const way = relative(root, real)
    if (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)) return
    throw new TidemarkError(
      'STORAGE_UNSAFE',
      `${path} is a symbolic link out of ${root}, to ${real}. Put the folder there itself, or make that place the root.`,
    )
  }
}

function removed(path: string): TidemarkError {
  return new TidemarkError(
    'ROLLED_BACK',
    `The folder ${path} was removed while its store was open. Open the store again: what is there now decides.`,
  )
}

/**
 * Syncs a folder, so that a power loss cannot take back names that were read there. A process that may not do that goes on
 * without, and on a read-only file system there is nothing to be made durable.
 */
export async function syncForReading(fs: FileSystem, path: string): Promise<void> {
  await fs.syncDirectory(path).catch((error: unknown) => {
    const code = errno(error)
    if (code !== NOT_PERMITTED && code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS' && code !== 'EINVAL')
      throw error
  })
}
