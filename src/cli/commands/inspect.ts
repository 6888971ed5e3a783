import { toHex } from '../../bytes/hash.js'
import { offsetsToObject, type Offsets } from '../../log/offsets.js'
import { tailBytes, type ShardState } from '../../shard/state.js'
import type { TagInfo } from '../../store/past.js'
import type { Store } from '../../store/store.js'
import { storeCommand, withStore, type AddCommand, type StoreOptions } from '../context.js'
import { grid, left, right } from '../grid.js'
import { plainJson } from '../json.js'
import { show, tablesOf } from '../stored-table.js'
import { count, harmless, size, time } from '../text.js'
import { atOption, type AtOption } from '../when.js'

export const inspect: AddCommand = (program, context) => {
  const command = storeCommand(program, 'inspect', 'Say what a store is and what it consists of.')
  atOption(command).action(async (where: string, options: StoreOptions & AtOption) => {
    await withStore(context, where, options, async (store) => {
      const { state } = await show(store, options.at)
      const facts = factsOf(store, state, await store.tags())
      await context.out.line(options.json ? plainJson(facts) : textOf(facts))
    })
  })
}

type Facts = ReturnType<typeof factsOf>

/** Times are milliseconds since the epoch, as everywhere in the API. */
function factsOf(store: Store, state: ShardState, tags: readonly TagInfo[]) {
  const { carried, manifest } = state
  const live = manifest.runs.flat()
  const sum = (field: 'records' | 'tombstones' | 'length' | 'rawBytes'): number =>
    live.reduce((total, segment) => total + segment[field], 0)
  return {
    name: store.name,
    job: manifest.config.job ?? null,
    partitions: manifest.config.partitions,
    version: carried.version,
    versionTime: carried.version === 0 ? null : carried.versionTime,
    head: state.head,
    mode: carried.mode,
    offsets: offsetsToObject(carried.offsets),
    logId: toHex(state.logId),
    created: manifest.config.created,
    segments: {
      count: live.length,
      /** Tombstones among them. */
      records: sum('records'),
      tombstones: sum('tombstones'),
      bytes: sum('length'),
      /** Before compression. */
      rawBytes: sum('rawBytes'),
    },
    runs: manifest.runs.length,
    tail: { entries: state.tail.length, bytes: tailBytes(state) },
    tables: tablesOf(state),
    tags,
  }
}

function textOf(facts: Facts): string {
  const { segments, tail, tables, tags } = facts
  const identity = [
    ['store', facts.name],
    ['job', facts.job ?? '(none)'],
    ['partitions', String(facts.partitions)],
    [
      'version',
      facts.versionTime === null ? '0, nothing is committed' : `${facts.version}, ${time(facts.versionTime)}`,
    ],
    ['head', `entry ${facts.head}`],
    ['mode', facts.mode],
    ['created', time(facts.created)],
    ['log id', facts.logId],
  ]
  const contents = [
    ['segments', count(segments.count), size(segments.bytes)],
    ['runs of segments', count(facts.runs), ''],
    ['records in them', count(segments.records), size(segments.rawBytes)],
    ['tombstones among these', count(segments.tombstones), ''],
    ['entries in the tail', count(tail.entries), size(tail.bytes)],
  ]
  const codecs = tables.map(({ name, codec }) => [name === '' ? '(default)' : name, codec])
  return [
    identity.map(([name, value]) => `${name!.padEnd(12)}${harmless(value!)}`).join('\n'),
    grid([left('holds'), right('count'), right('bytes')], contents),
    section([left('source'), right('partition'), right('read next from')], offsetRows(facts.offsets)),
    section([left('table'), left('codec')], codecs),
    section([left('tag'), right('version'), left('time'), left('ends')], tags.map(rowOfTag)),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

function rowOfTag({ name, version, time: at, expires }: TagInfo): string[] {
  return [name, String(version), time(at), expires === undefined ? '' : time(expires)]
}

function section(columns: Parameters<typeof grid>[0], rows: string[][]): string {
  return rows.length === 0
    ? ''
    : grid(
        columns,
        rows.map((row) => row.map(harmless)),
      )
}

function offsetRows(offsets: Offsets): string[][] {
  return Object.entries(offsets).flatMap(([source, at]) =>
    typeof at === 'object'
      ? Object.entries(at).map(([partition, next]) => [source, partition, String(next)])
      : [[source, '', String(at)]],
  )
}
