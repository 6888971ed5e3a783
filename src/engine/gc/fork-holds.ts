/** The pins that hold for forks what these have of their parent: each is needed until its fork names nothing of that any more. */
import { equalBytes } from '../../bytes/compare.js'
import { isTidemarkError, type ErrorCode } from '../../errors.js'
import { decodeAnchor } from '../../log/anchor.js'
import { isTombstone } from '../../log/tombstone.js'
import { encodeEntry } from '../../log/encode.js'
import { logIdOfPath, storeOfLog } from '../../manifest/listed-names.js'
import { checkLogPath } from '../../manifest/names.js'
import {
  anchorName,
  closeLog,
  openAnchor,
  openLog,
  type LogContext,
  type ReadContext,
  type ShardContext,
} from '../context.js'
import { eachHead } from '../history/past.js'
import { listPins, manifestOfPin, type StoredPin } from '../history/pins.js'
import { bareEntry, endsEarly } from '../open/handover.js'
import { isVoid } from '../open/lost-log.js'
import { readLog } from '../open/recovery.js'
import { Part } from '../../part.js'
import { namesIn } from './entry-index.js'

const splitting = new Part(() => import('../shards/split-fork.js'))

/** Holds of forks that are gone, never came about, or name nothing of this log any more. */
export async function deadForks(
  ctx: ShardContext,
  log: LogContext,
  pins: readonly StoredPin[],
  now: number,
): Promise<ReadonlySet<string>> {
  const dead = new Set<string>()
  for (const pin of pins) {
    if (pin.kind !== 'fork' || pin.made + ctx.graceMs > now) continue
    if (!(await mayBeNeeded(ctx, log.path, pin))) dead.add(pin.blob)
  }
  return dead
}

const UNREADABLE: ReadonlySet<ErrorCode> = new Set(['CORRUPT', 'UNSUPPORTED_FORMAT', 'VERSION_EXPIRED'])

/** Whether a fork's hold is needed, as far as can be told: one that is damaged may be repaired. */
export async function mayBeNeeded(ctx: ReadContext, parentPath: string, pin: StoredPin): Promise<boolean> {
  const { name } = pin
  try {
    // Whosever they are: a fork of a fork names segments of the first store, and only the fork between holds those.
    const held = new Set(manifestOfPin(pin, parentPath).runs.flatMap((run) => run.map((segment) => segment.name)))
    return await isNeeded(ctx, held, checkLogPath(name))
  } catch (error) {
    // One that is damaged, of a newer format or moving on right now keeps what it holds; its parent must not stop
    // collecting for that.
    if (!isTidemarkError(error) || !UNREADABLE.has(error.code)) throw error
    ctx.warn(`What fork ${name} of store "${ctx.store}" needs could not be read; all that it holds is kept.`, error)
    return true
  }
}

/** Whether there is anything of a log that has no entries. */
async function isLeft({ storage }: ReadContext, path: string): Promise<boolean> {
  const [{ paths }, { items }] = await Promise.all([storage.logs(path), storage.blobs.list(`${path}/`, { limit: 1 })])
  return paths.length + items.length > 0
}

/** Whether the fork whose log is at `path` is there and names anything of what is held; what is not there yet can't come any more. */
async function isNeeded(ctx: ReadContext, held: ReadonlySet<string>, path: string): Promise<boolean> {
  const child: ReadContext = { ...ctx, store: storeOfLog(path), shard: undefined }
  const logId = logIdOfPath(child.store, path)
  if (logId === undefined) return true
  const anchor = openAnchor(child)
  const { bytes: found } = await anchor.read()
  // It is being destroyed: nobody opens it any more.
  if (isTombstone(found)) return false
  const value = found && decodeAnchor(found, anchorName(child))
  const log = openLog(child, anchor, logId)
  try {
    if (value && equalBytes(value.logId, logId)) {
      const state = value.sealed ? undefined : await readLog(child, log, value)
      if (state === undefined || state.seal) return await splitting.use((part) => part.isNamed(child, log, held))
      const { head, carried } = state
      if (head < value.manifestAt) throw endsEarly(child, head, value)
      for await (const entry of eachHead(child, log, carried.trim + 1, head)) {
        if (namesIn(entry).some((segment) => held.has(segment))) return true
      }
      const pins = await listPins(ctx.storage, path)
      return pins.some((pin) =>
        manifestOfPin(pin, path)
          .runs.flat()
          .some((segment) => held.has(segment.name)),
      )
    }
    const { numbers } = await log.log.list(1, { limit: 1 })
    if (numbers.length > 0) return numbers[0] !== 1 || !(await isVoid(log.log))
    // A store that has lost its log and its anchor may be put back.
    if (value === undefined && (await isLeft(ctx, path))) return true
    // Who was about to create it has given up or stalled: from here on it can't any more.
    const { outcome } = await log.log.claim(1, encodeEntry(bareEntry(log, 1, 'void')), 1)
    return outcome !== 'committed'
  } finally {
    await closeLog(child, log)
  }
}
