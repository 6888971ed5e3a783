/**
 * State in a directory of a local file system.
 *
 * - A commit is one write and one sync to a file that only its owner writes (R44).
 * - Several processes on one machine may open the same directory; a later owner fences the earlier one.
 * - Network file systems are not supported: what one machine writes, others have to see at once.
 */
import { systemClock, type Clock } from '../../src/clock.js'
import type { Storage } from '../../src/storage/contract.js'
import { nodeFileSystem, type FileSystem } from './file-system.js'
import { fileStorage } from './storage.js'

export type { FileKind, FileStat, FileSystem } from './file-system.js'

export interface NodeFsOptions {
  /** Random ids and short waits. Default: the platform's. */
  readonly clock?: Clock | undefined
  /** Default: that of Node. */
  readonly fs?: FileSystem | undefined
}

/** A storage in `directory`, which is made when something is first written; several stores may share it. */
export function nodeFs(directory: string, options: NodeFsOptions = {}): Storage {
  return fileStorage(options.fs ?? nodeFileSystem(), directory, options.clock ?? systemClock)
}
