import type { MaintainResult } from '../../engine/gc/scheduler.js'
import {
  shardOption,
  shardsIn,
  wholeNumber,
  withStore,
  withWriter,
  writerCommand,
  type AddCommand,
  type Context,
  type ShardOption,
  type StoreOptions,
} from '../context.js'
import type { ShardRange } from '../../group/rescale.js'
import type { Store } from '../../store/store.js'
import { facts } from '../grid.js'
import { plainJson } from '../json.js'
import { count, size } from '../../tools/text.js'
import { span, spanOf } from '../when.js'

interface Options extends StoreOptions, ShardOption {
  readonly dryRun?: true
  readonly budgetMs?: number
  readonly maxDeletes?: number
  readonly minDeletes?: number
  readonly keepVersions: number
  readonly keepFor: number
  readonly keepHourly: number
  readonly keepDaily: number
  readonly grace: number
}

export const maintain: AddCommand = (program, context) => {
  shardOption(writerCommand(program, 'maintain', 'Fold, compact, and collect what is no longer kept.'))
    .option('--dry-run', 'only say what is due; nothing is written, and nobody is fenced')
    .option('--budget-ms <number>', 'begin nothing new after so many milliseconds', wholeNumber)
    .option('--max-deletes <number>', 'delete at most so many objects', wholeNumber)
    .option('--min-deletes <number>', 'condemn nothing for fewer log entries', wholeNumber)
    .option('--keep-versions <number>', "how many versions are kept: the owner's `retain.versions`", wholeNumber, 100)
    .option('--keep-for <time>', "and those of so long: the owner's `retain.ageMs`: 12h, 7d", spanOf, 0)
    .option('--keep-hourly <number>', "the newest one of so many hours: the owner's `retain.hourly`", wholeNumber, 24)
    .option('--keep-daily <number>', "the newest one of so many days: the owner's `retain.daily`", wholeNumber, 30)
    .option('--grace <time>', "between condemning and deleting: the owner's `graceMs`", spanOf, 3_600_000)
    .action(async (where: string, options: Options) => {
      const { dryRun = false, budgetMs, maxDeletes, minDeletes, keepVersions, keepFor, grace, json } = options
      const { keepHourly: hourly, keepDaily: daily } = options
      const open = dryRun ? withStore : withWriter
      const more = { retain: { versions: keepVersions, ageMs: keepFor, hourly, daily }, graceMs: grace }
      const { name, shards } = await shardsIn(context, where, options)
      const wanted = shards?.filter(has(options.partition)) ?? [undefined]
      // One after another, so that no two are closed to their owners at once.
      for (const [i, range] of (wanted.length > 0 ? wanted : [undefined]).entries()) {
        const act = async (store: Store): Promise<void> => {
          const result = await store.maintain({ dryRun, budgetMs, maxDeletes, minDeletes })
          if (json)
            return context.out.line(plainJson(range ? { first: range.first, last: range.last, ...result } : result))
          const text = textOf(context, result, options)
          await context.out.line(range ? `${i > 0 ? '\n' : ''}${titleOf(range)}\n${text}` : text)
        }
        await open(context, where, { ...options, store: name }, act, {
          ...more,
          shard: range?.first ?? options.partition,
        })
      }
    })
}

function has(partition: number | undefined): (range: ShardRange) => boolean {
  return ({ first, last }) => partition === undefined || (first <= partition && partition <= last)
}

function titleOf({ first, last }: ShardRange): string {
  return first === last ? `Partition ${first}:` : `Partitions ${first} to ${last}:`
}

function textOf(
  context: Context,
  { folds, compactions, keeps, condemned, waiting, deleted }: MaintainResult,
  { dryRun, grace }: Options,
): string {
  const what = (entries: number, segments: number): string => `${count(entries)} entries, ${count(segments)} segments`
  const pins = deleted.pins > 0 ? `, ${count(deleted.pins)} pins` : ''
  const rows: [string, string][] = [
    ...(dryRun
      ? []
      : [['folded', `${count(folds)} times, compacted ${count(compactions)} times`] satisfies [string, string]]),
    ['kept', keeps === 0 ? 'all versions' : `from version ${keeps} on`],
    ['deleted', `${what(deleted.entries, deleted.segments)}${pins}, ${size(deleted.bytes)}`],
    ['condemned', `${what(condemned.entries, condemned.segments)}, to be deleted by a call in ${span(grace)} or later`],
    ['waiting', `${count(waiting)} segments that were condemned before`],
  ]
  const text = facts(context, rows, 11)
  return dryRun ? `A dry run: nothing was done.\n${text}` : text
}
