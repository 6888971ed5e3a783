import { toHex } from '../../bytes/hex.js'
import { offsetsToObject, type Offsets } from '../../log/offsets.js'
import { segmentsOf, statesOf, tailBytes, type ShardState } from '../../engine/state.js'
import type { TagInfo } from '../../store/old-versions.js'
import type { StoreHandle } from '../../store/handle.js'
import { handleOf } from '../../store/handles.js'
import type { ShardInfo, Store } from '../../store/store.js'
import { storedBytes } from '../../store/table-spec.js'
import { familyOf as logsOf, wasSplit, type FamilyLog } from '../../tools/family.js'
import { tablesOf } from '../../tools/stored.js'
import { countKeys, estimateKeys, isCheap, type KeyCount } from '../count.js'
import {
  shardOption,
  storeCommand,
  withStore,
  type AddCommand,
  type Context,
  type ShardOption,
  type StoreOptions,
} from '../context.js'
import { facts as factList, grid, left, right, whole, type Column } from '../grid.js'
import { plainJson } from '../json.js'
import { show, type Shown } from '../stored-table.js'
import { count, harmless, size, time } from '../../tools/text.js'
import { atOption, type AtOption } from '../when.js'
import { serveStore, webOptions, type WebOptions } from '../web-store.js'
import { rangeText, shortId } from './shards.js'
import { storesTable } from './stores.js'

export const inspect: AddCommand = (program, context) => {
  const command = storeCommand(program, 'inspect', 'Say what a store is and what it consists of.')
  command.addHelpText(
    'after',
    `
With --web the page is on loopback, at an address with a secret in it. It reads, and follows what others write. With --write it also
restores and tags versions: a program that owns the store at this moment is then fenced.`,
  )
  webOptions(shardOption(atOption(command))).action(async (where: string, options: Options) => {
    if (options.web) {
      if (options.at !== undefined) command.error('error: --at is not for --web: the page shows every version')
      return serveStore(context, where, options)
    }
    if (options.write || options.port !== undefined) command.error('error: --write and --port are for --web')
    await withStore(
      context,
      where,
      options,
      async (store, stores) => {
        const shown = await show(store, options.at)
        const family = await familyOf(store)
        const facts = {
          ...factsOf(store, shown.state, await store.tags(), await keysOf(handleOf(store), shown)),
          ...family,
        }
        if (options.json) return context.out.line(plainJson(stores.length > 0 ? { ...facts, stores } : facts))
        await context.out.line(textOf(context, facts))
        if (stores.length > 0) {
          await context.out.line(`\n${storesTable(context, stores)}`)
        }
      },
      { shard: options.partition },
    )
  })
}

type Options = StoreOptions & AtOption & WebOptions & ShardOption

/** Of a store that was split: its shards, and all its logs, from the first one on. */
async function familyOf(store: Store): Promise<{ shards?: readonly ShardInfo[]; family?: readonly FamilyLog[] }> {
  const { storage, name } = handleOf(store).options
  const place = { storage, name }
  return (await wasSplit(place)) ? { shards: store.shards, family: await logsOf(place) } : {}
}

interface Keys extends KeyCount {
  /** The keys of each table, where they were counted. */
  readonly tables: ReadonlyMap<string, number>
}

async function keysOf(handle: StoreHandle, { place, state }: Shown): Promise<Keys> {
  const tables = new Map<string, number>()
  if (!isCheap(state)) return { ...(await estimateKeys(state, handle.cache, handle.now())), tables }
  let keys = 0
  for (const { name } of tablesOf(state)) {
    const counted = await countKeys(place.table(name, { codec: storedBytes }))
    tables.set(name, counted)
    keys += counted
  }
  return { keys, isExact: true, tables }
}

type Facts = ReturnType<typeof factsOf> & Awaited<ReturnType<typeof familyOf>>

/** The facts for --json. Times are milliseconds since 1970, as everywhere in the API. */
function factsOf(store: Store, state: ShardState, tags: readonly TagInfo[], keys: Keys) {
  const { carried, manifest } = state
  const { config } = manifest
  // The segments of large commits count, too, although no fold has listed them yet.
  const live = segmentsOf(state)
  const sum = (field: 'records' | 'tombstones' | 'length' | 'rawBytes'): number =>
    live.reduce((total, segment) => total + segment[field], 0)
  return {
    name: store.name,
    job: config.job ?? null,
    ...(config.parent !== undefined && { parent: config.parent }),
    partitions: config.partitions,
    version: carried.version,
    versionTime: carried.version === 0 ? null : carried.versionTime,
    head: state.head,
    mode: carried.mode,
    offsets: offsetsToObject(carried.offsets),
    // Several shards have a log each, which `family` lists.
    logId: statesOf(state).length > 1 ? null : toHex(state.logId),
    created: config.created,
    keys: { count: keys.keys, exact: keys.isExact },
    segments: {
      count: live.length,
      /** Tombstones count as records. */
      records: sum('records'),
      tombstones: sum('tombstones'),
      bytes: sum('length'),
      /** The bytes before compression. */
      rawBytes: sum('rawBytes'),
    },
    runs: manifest.runs.length + state.tail.reduce((runs, { references }) => runs + (references?.runs.length ?? 0), 0),
    tail: { entries: state.tail.length, bytes: tailBytes(state) },
    tables: tablesOf(state).map((table) => {
      const counted = keys.tables.get(table.name)
      return counted === undefined ? table : { ...table, keys: counted }
    }),
    tags,
  }
}

function textOf(context: Context, facts: Facts): string {
  const { segments, tail, tables, tags, keys } = facts
  const identity: [string, string][] = [
    ['store', facts.name],
    ...(facts.parent === undefined ? [] : [['fork of', facts.parent] satisfies [string, string]]),
    ['job', facts.job ?? '(none)'],
    ['partitions', String(facts.partitions)],
    [
      'version',
      facts.versionTime === null ? '0, nothing is committed' : `${facts.version}, ${time(facts.versionTime)}`,
    ],
    ['head', `entry ${facts.head}`],
    ['mode', facts.mode],
    ['created', time(facts.created)],
    facts.logId === null ? ['shards', facts.shards!.map(rangeText).join(', ')] : ['log id', facts.logId],
  ]
  const contents = [
    ['keys', `${keys.exact ? '' : 'about '}${count(keys.count)}`, ''],
    ['segments', count(segments.count), size(segments.bytes)],
    ['runs of segments', count(facts.runs), ''],
    ['records in them', count(segments.records), size(segments.rawBytes)],
    ['tombstones among these', count(segments.tombstones), ''],
    ['entries in the tail', count(tail.entries), size(tail.bytes)],
  ]
  const tableRows = tables.map(({ name, codec, ...table }) => [
    name === '' ? '(default)' : name,
    codec,
    'keys' in table ? count(table.keys) : '',
  ])
  const section = (columns: readonly Column[], rows: string[][]): string =>
    rows.length === 0
      ? ''
      : grid(
          context,
          columns,
          rows.map((row) => row.map(harmless)),
        )
  return [
    factList(
      context,
      identity.map(([name, value]) => [name, harmless(value)]),
      12,
    ),
    grid(context, [left('holds'), right('count'), right('bytes')], contents),
    section([left('source'), right('partition'), left('read next from')], offsetRows(facts.offsets)),
    section([left('table'), left('codec'), right('keys')], tableRows),
    section([whole('log'), whole('partitions'), left('came to')], (facts.family ?? []).map(rowOfLog)),
    section([left('tag'), right('version'), whole('time'), whole('ends')], tags.map(rowOfTag)),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

/** A log that lives, or was sealed: then with the logs that go on from it. */
function rowOfLog({ log, sealed, children, ...range }: FamilyLog): string[] {
  const after = children.length === 0 ? 'nothing yet' : children.map(shortId).join(', ')
  return [shortId(log), rangeText(range), sealed === undefined ? 'lives' : `sealed by entry ${sealed}, then ${after}`]
}

function rowOfTag({ name, version, time: at, expires }: TagInfo): string[] {
  return [name, String(version), time(at), expires === undefined ? '' : time(expires)]
}

function offsetRows(offsets: Offsets): string[][] {
  return Object.entries(offsets).flatMap(([source, at]) =>
    typeof at === 'object'
      ? Object.entries(at).map(([partition, next]) => [source, partition, String(next)])
      : [[source, '', String(at)]],
  )
}
