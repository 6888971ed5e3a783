/** The options of `maintain`, checked. */
import type { Clock } from '../clock.js'
import type { CollectOptions } from '../engine/gc/collector.js'
import { boolean, checker, number } from './options.js'

/** Options of `maintain()`. */
export interface MaintainOptions {
  /**
   * Nothing new is begun after so many milliseconds.
   * @default no bound
   * @unit milliseconds
   * @when Set it in a cron job or idle callback that has to end in time.
   */
  readonly budgetMs?: number | undefined
  /**
   * The most objects that are deleted.
   * @default no bound
   * @unit objects
   * @when Set it where requests are counted, as in a worker.
   */
  readonly maxDeletes?: number | undefined
  /**
   * Nothing is condemned for fewer log entries than this, unless segments go with them.
   * @default 1
   * @unit log entries
   * @when Raise it when a round that deletes little is not worth its requests.
   */
  readonly minDeletes?: number | undefined
  /**
   * Says what would be done, and writes and deletes nothing.
   * @default false
   * @when Set it to look first.
   */
  readonly dryRun?: boolean | undefined
}

const MOST = Number.MAX_SAFE_INTEGER
const check = checker('maintain', {
  budgetMs: number(MOST, 0),
  maxDeletes: number(MOST, 0),
  minDeletes: number(1, 1),
  dryRun: boolean(false),
})

export function checkMaintain(options: MaintainOptions, clock: Clock): CollectOptions {
  const { budgetMs, ...rest } = check(options)
  const end = clock.monotonic() + budgetMs
  return { ...rest, inTime: () => clock.monotonic() < end }
}
