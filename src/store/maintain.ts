/** What callers may say with `maintain`, checked. */
import type { Clock } from '../clock.js'
import { checkFields } from '../errors.js'
import type { CollectOptions } from '../engine/gc/collector.js'
import { flag, whole } from './options.js'

export interface MaintainOptions {
  /** Nothing new is begun after so many milliseconds. Default: no bound. */
  readonly budgetMs?: number | undefined
  /** The most objects that are deleted. Default: no bound. */
  readonly maxDeletes?: number | undefined
  /** Nothing is condemned for fewer log entries than this, unless segments go with them. Default: 1. */
  readonly minDeletes?: number | undefined
  /** Says what would be done, and writes and deletes nothing. */
  readonly dryRun?: boolean | undefined
}

const OPTIONS = new Set(['budgetMs', 'maxDeletes', 'minDeletes', 'dryRun'])

export function checkMaintain(options: MaintainOptions, clock: Clock): CollectOptions {
  checkFields('maintain', options, OPTIONS)
  const budget = whole('budgetMs', options.budgetMs, Number.MAX_SAFE_INTEGER, 0)
  const end = clock.monotonic() + budget
  return {
    inTime: () => clock.monotonic() < end,
    maxDeletes: whole('maxDeletes', options.maxDeletes, Number.MAX_SAFE_INTEGER, 0),
    minDeletes: whole('minDeletes', options.minDeletes, 1, 1),
    dryRun: flag('dryRun', options.dryRun) ?? false,
  }
}
