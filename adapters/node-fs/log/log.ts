/** A handle on a log. It reads settled entries, and writes once it has claimed the log. It knows nothing of other handles. */
import type { Clock } from '../../../src/clock.js'
import { TidemarkError, throwIfAborted } from '../../../src/errors.js'
import type { CallOptions, Log, LogOptions } from '../../../src/storage/contract.js'
import { TAIL_BYTES } from '../../../src/storage/tails.js'
import { guarded } from '../errors.js'
import type { FileSystem } from '../file-system.js'
import { LogDirectory } from './directory.js'
import { LogOwner } from './owner.js'
import { destroyLog, recordTrim, tidy } from './cleanup.js'
import type { LogTuning } from './tuning.js'
import { LogView } from './view.js'
import { checkName } from '../names.js'
import type { Root } from '../root.js'

export function openLog(
  fs: FileSystem,
  root: Root,
  clock: Clock,
  tuning: LogTuning,
  path: string,
  { durability = 'strict' }: LogOptions = {},
): Log {
  checkName('The log', path)
  const directory = new LogDirectory(fs, root, clock, path)
  const view = new LogView(directory)
  const owner = new LogOwner(directory, view, clock, tuning, durability === 'strict')
  let closing: Promise<void> | undefined

  const checkOpen = (signal?: AbortSignal): void => {
    if (closing) throw new TidemarkError('CLOSED', `This handle on the log ${directory.path} was closed.`)
    throwIfAborted(signal)
  }

  /** Makes every call but `close`: checks that the handle is open and the signal has not aborted, and types errors. */
  function call<T>(doing: string, { signal }: CallOptions = {}, act: () => Promise<T>): Promise<T> {
    return guarded(doing, directory.path, async () => {
      checkOpen(signal)
      return act()
    })
  }

  return {
    append: (n, bytes, from, options) =>
      call('append to', options, () =>
        owner.append({ n, bytes, from, makesRoom: options?.makesRoom === true }, () => checkOpen(options?.signal)),
      ),

    claim: (n, bytes, from, options) =>
      call('claim', options, () =>
        owner.claim({ n, bytes, from, makesRoom: options?.makesRoom === true }, () => checkOpen(options?.signal)),
      ),

    read: (n, options) =>
      call('read', options, async () => {
        if (view.isRemoved(n)) return { bytes: undefined }
        return { bytes: (await owner.read(n)) ?? (await view.read(n)) }
      }),

    readTail: (from, options) => call('read', options, () => view.readTail(from, TAIL_BYTES)),

    list: (from, options) =>
      call('list', options, async () => {
        const numbers = await view.list(from, options?.limit ?? Infinity)
        return { numbers, inDoubt: view.last > view.settled ? view.last : undefined }
      }),

    sync: (options) =>
      call('sync', options, async () => {
        await owner.sync()
        return {}
      }),

    remove: (numbers, options) =>
      call('remove from', options, async () => {
        await view.refresh()
        if (view.last === 0 || numbers.length === 0) return {}
        await owner.sync()
        const trim = view.hide(numbers)
        if (trim > view.trim) await recordTrim(directory, trim)
        view.trimmed(trim)
        await tidy(directory, clock.now())
        return {}
      }),

    destroy: (options) =>
      call('destroy', options, async () => {
        await destroyLog(directory)
        await owner.release()
        await view.reset()
        return {}
      }),

    close() {
      closing ??= guarded('close', directory.path, async () => {
        await owner.close()
        await view.close()
      })
      return closing
    },
  }
}
