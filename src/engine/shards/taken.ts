/** Which entry a hold waits for, and whether that has its number by now, or never will: then the hold is over (holds.ts, S9). */
import { equalBytes } from '../../bytes/compare.js'
import { isDamage } from '../../errors.js'
import { readAnchor } from '../../log/anchor.js'
import { logIdOfPath, shardOfLog, storeOfLog } from '../../manifest/listed-names.js'
import { checkLogPath } from '../../manifest/names.js'
import { anchorName, closeLog, openAnchor, openLog, type ReadContext } from '../context.js'
import type { StoredPin } from '../history/pins.js'
import { readLog } from '../open/recovery.js'

/** The entry that is about to name what is held. */
export interface HoldTarget {
  /** The path of its log. */
  readonly path: string
  readonly n: number
}

const HOLD = /^(.+)#(\d{1,16})$/

export function holdName({ path, n }: HoldTarget): string {
  return `${path}#${n}`
}

/** Throws `CORRUPT` when a log's path is impossible; `undefined` for what is no name of a hold. */
export function targetOfHold(name: string): HoldTarget | undefined {
  const [, path, n] = HOLD.exec(name) ?? []
  return path === undefined ? undefined : { path: checkLogPath(path), n: Number(n) }
}

/** The holds among these pins whose entries have come about, or can't any more: their numbers are taken. */
export async function takenHolds(ctx: ReadContext, pins: readonly StoredPin[]): Promise<ReadonlySet<string>> {
  const taken = new Set<string>()
  for (const { kind, name, blob } of pins) {
    if (kind !== 'hold') continue
    const target = targetOfHold(name)
    if (target && (await isTaken(ctx, target))) taken.add(blob)
  }
  return taken
}

async function isTaken(ctx: ReadContext, { path, n }: HoldTarget): Promise<boolean> {
  const other: ReadContext = { ...ctx, store: storeOfLog(path), shard: shardOfLog(path) }
  const logId = logIdOfPath(other.store, path, other.shard)
  if (logId === undefined) return false
  const anchor = openAnchor(other)
  const log = openLog(other, anchor, logId)
  try {
    const { value } = await readAnchor(anchor, anchorName(other))
    // Its store was made anew, or it was sealed: behind a seal nothing counts, and before one all is taken.
    if (value && (!equalBytes(value.logId, logId) || value.sealed || value.trim >= n)) return true
    if ((await log.log.read(n)).bytes !== undefined) return true
    // The anchor may not say yet that it was sealed.
    return value !== undefined && (await readLog(other, log, value)).seal !== undefined
  } catch (error) {
    if (!isDamage(error)) throw error
    return false
  } finally {
    await closeLog(other, log)
  }
}
