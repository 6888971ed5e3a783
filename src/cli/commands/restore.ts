import { invalid } from '../../errors.js'
import type { Offsets } from '../../log/offsets.js'
import type { When } from '../../store/find.js'
import { handleOf } from '../../store/handles.js'
import type { ShardRange } from '../../group/rescale.js'
import type { Store } from '../../store/store.js'
import { storedBytes } from '../../store/table-spec.js'
import { differences } from '../../tools/diff.js'
import {
  shardsIn,
  wholeNumber,
  withStore,
  withWriter,
  writerCommand,
  type AddCommand,
  type Context,
  type StoreOptions,
} from '../context.js'
import { plainJson } from '../json.js'
import { show } from '../stored-table.js'
import { count, time } from '../../tools/text.js'
import { tablesOf } from '../../tools/stored.js'
import { rangeText } from './shards.js'
import { whenOf } from '../when.js'

interface Options extends StoreOptions {
  readonly partition?: readonly number[]
  readonly offsets?: string
  readonly label?: string
  readonly dryRun?: true
}

export const restore: AddCommand = (program, context) => {
  writerCommand(program, 'restore', 'Put an old version back, as a new version: nothing of the history is lost.')
    .argument('<version>', 'a version, a tag or a date', whenOf)
    .option('--partition <numbers...>', 'only these partitions', wholeNumbers)
    .option('--offsets <json>', 'from where sources are to be read afterwards; as it was then when left out')
    .option('--label <text>', 'a label for the new version')
    .option('--dry-run', 'only say what would change; nothing is written, and nobody is fenced')
    .action(async (where: string, when: When, options: Options) => {
      const { partition: given, label, json } = options
      // Of a store that was split, they are those of one shard.
      const more = { shard: given?.[0] }
      const offsets = options.offsets === undefined ? undefined : offsetsOf(options.offsets)
      if (options.dryRun) {
        await withStore(
          context,
          where,
          options,
          async (store) => {
            const partitions = lessThanAll(store, given)
            const { version, versionTime } = (await show(store, when)).state.carried
            const keys = await countChanges(store, version === when ? version : when, partitions)
            // Each shard numbers its versions by itself.
            const isOne = store.shards.length === 1
            const what = isOne ? `Version ${version} of ${time(versionTime)}` : 'What was then in each shard'
            const record = isOne ? { restored: version, time: versionTime, keys } : { keys }
            const text = `${what} would be put back, and ${count(keys)} keys change.`
            await context.out.line(json ? plainJson(record) : text)
          },
          more,
        )
        return
      }
      const { name: store, shards } = await shardsIn(context, where, options)
      if (shards && given === undefined && typeof when !== 'number') {
        return restoreAll(context, where, when, shards, { ...options, store })
      }
      await withWriter(
        context,
        where,
        { ...options, store },
        async (store) => {
          const partitions = lessThanAll(store, given)
          const { version: restored } = (await show(store, when)).state.carried
          const { version, undo } = await store.restore(when, { partitions, offsets, label })
          const what = partitions
            ? `In ${partitions.length === 1 ? 'a partition' : `${partitions.length} partitions`} `
            : ''
          const text = `${what}${what ? 'version' : 'Version'} ${restored} is put back as version ${version}; restoring ${undo} undoes it.`
          await context.out.line(json ? plainJson({ restored, version, undo }) : text)
        },
        more,
      )
    })
}

/** Puts back a tag or a moment in each shard, one after another. */
async function restoreAll(
  context: Context,
  where: string,
  when: Exclude<When, number>,
  shards: readonly ShardRange[],
  options: Options,
): Promise<void> {
  const { label, json } = options
  if (options.offsets !== undefined) throw invalid('--offsets: each shard has its own; name one by --partition.')
  // Where it is not in all of them, none is changed.
  await withStore(context, where, options, async (store) => (await store.at(when)).close())
  const restored: (ShardRange & { readonly version: number })[] = []
  for (const { first, last } of shards) {
    const act = async (store: Store): Promise<void> => {
      restored.push({ first, last, version: (await store.restore(when, { label })).version })
    }
    await withWriter(context, where, options, act, { shard: first })
  }
  const each = restored.map(({ version, ...range }) => `version ${version} of ${rangeText(range)}`).join(', ')
  await context.out.line(json ? plainJson({ shards: restored }) : `Each shard is put back as it was: ${each}.`)
}

/** All partitions of a shard are the shard itself, with where its sources stood. */
function lessThanAll(store: Store, given: readonly number[] | undefined): readonly number[] | undefined {
  const { first, last } = store.shards[0]!
  const count = last - first + 1
  const isOfShard = (partition: number): boolean => partition >= first && partition <= last
  const isWhole = count < store.partitions && given?.every(isOfShard) && new Set(given).size === count
  return isWhole ? undefined : given
}

function wholeNumbers(text: string, before: readonly number[] = []): number[] {
  return [...before, wholeNumber(text)]
}

function offsetsOf(text: string): Offsets {
  try {
    return JSON.parse(text) as Offsets
  } catch (cause) {
    throw invalid(`${text} is not JSON; write the offsets as {"source":7} or {"source":{"0":7}}.`, cause)
  }
}

/** How many keys of all tables would get another value. */
async function countChanges(store: Store, when: When, partitions: readonly number[] | undefined): Promise<number> {
  const handle = handleOf(store)
  for (const number of partitions ?? []) store.partition(number)
  const states = [handle.state, (await show(store, when)).state]
  const now = store.shards.length === 1 ? store.version : new Date(handle.state.carried.versionTime)
  const names = new Set(states.flatMap((state) => tablesOf(state).map(({ name }) => name)))
  let keys = 0
  for (const name of names) {
    const spec = handle.spec(name, { codec: storedBytes })
    const changes = differences(
      handle,
      [now, when],
      spec,
      { lower: new Uint8Array(0), upper: undefined },
      { partitions },
    )
    for await (const _ of changes) keys++
  }
  return keys
}
