import type { Clock } from '../../src/clock.js'
import { throwIfAborted } from '../../src/errors.js'
import type { Storage } from '../../src/storage/contract.js'
import { LONG_TAIL } from '../../src/storage/tails.js'
import { anchor } from './anchor.js'
import { blobs } from './blobs.js'
import { descriptorsOf } from './descriptors.js'
import { guarded } from './errors.js'
import type { FileSystem } from './file-system.js'
import { openLog } from './log/log.js'
import { holdsEntries } from './log/directory.js'
import { LOG_TUNING, type LogTuning } from './log/tuning.js'
import { platform } from './platform.js'
import { probe } from './probe.js'
import { Root } from './root.js'
import { listLogs } from './walk.js'

/** The storage of `nodeFs`. Tests give it a tuning of their own. */
export function fileStorage(fs: FileSystem, directory: string, clock: Clock, tuning: LogTuning = LOG_TUNING): Storage {
  const root = new Root(fs, directory)
  const descriptors = descriptorsOf(fs)
  return {
    capabilities: { name: 'node-fs', trim: 'owner', tail: LONG_TAIL, turns: () => descriptors.turns, platform },
    blobs: blobs(fs, root, clock, descriptors),
    log: (path, options) => openLog(fs, root, clock, tuning, path, options),
    anchor: (path) => anchor(fs, root, clock, path),
    async probe(path) {
      await guarded('probe', root.place(path), () => probe(fs, root, clock, path))
      return {}
    },
    async logs(prefix, { signal } = {}) {
      throwIfAborted(signal)
      return guarded('list', root.path, async () => ({ paths: await listLogs(fs, root, prefix, holdsEntries, signal) }))
    },
  }
}
