/**
 * State in a directory of a local file system.
 *
 * - A commit is one write and one sync to a file that only its owner writes (R44).
 * - Several processes on one machine may open the same directory. A later owner fences the earlier one.
 * - Network file systems are not supported: every reader has to see writes at once.
 */
import { systemClock, type Clock } from '../../src/clock.js'
import type { Storage } from '../../src/storage/contract.js'
import { nodeFileSystem, type FileSystem } from './file-system.js'
import { lendChecksum } from './platform.js'
import { fileStorage } from './storage.js'

export type { FileKind, FileStat, FileSystem } from './file-system.js'

/** Options of `nodeFs`. */
export interface NodeFsOptions {
  /**
   * Random ids and short waits.
   * @default the platform's
   * @when Only tests replace it.
   */
  readonly clock?: Clock | undefined
  /**
   * The file system, which a test may replace.
   * @default that of Node
   * @when Only tests replace it.
   */
  readonly fs?: FileSystem | undefined
}

/**
 * A storage in `directory`, which is made when something is first written. Several stores may share it.
 *
 * @throws `INVALID_ARGUMENT` when `directory` is no path
 * @throws `STORAGE_UNSAFE` by `openStore` when it creates a store and the file system lacks hard links, or the like
 * @example
 *     const store = await openStore({ storage: nodeFs('./state'), name: 'orders' })
 */
export function nodeFs(directory: string, options: NodeFsOptions = {}): Storage {
  lendChecksum()
  return fileStorage(options.fs ?? nodeFileSystem(), directory, options.clock ?? systemClock)
}
