import type { Key } from '../../bytes/keys.js'
import type { ScanOptions } from '../../store/range.js'
import { storeCommand, wholeNumber, withStore, type AddCommand, type Context, type StoreOptions } from '../context.js'
import { keyOfJson, taggedJson } from '../json.js'
import { openTable, tableOptions, type StoredTable, type TableOptions } from '../stored-table.js'
import { show } from '../../tools/show.js'
import { count, cut } from '../../tools/text.js'
import { atOption, type AtOption } from '../when.js'

const BOUNDS = ['prefix', 'gt', 'gte', 'lt', 'lte'] as const

type Bounds = { readonly [B in (typeof BOUNDS)[number]]?: string }

interface Options extends StoreOptions, TableOptions, AtOption, Bounds {
  readonly jsonKeys?: true
  readonly reverse?: true
  readonly limit?: number
  readonly keys?: true
}

/** How many lines a person is shown without asking for more, and how many characters of a line. */
const LINES = 100
const WIDTH = 2000

export const scan: AddCommand = (program, context) => {
  const command = storeCommand(program, 'scan', 'Print keys and values, in the order of keys.')
  atOption(tableOptions(command))
    .option('--prefix <key>', 'keys that begin so')
    .option('--gt <key>', 'keys above this one')
    .option('--gte <key>', 'this key and those above it')
    .option('--lt <key>', 'keys below this one')
    .option('--lte <key>', 'this key and those below it')
    .option('--json-keys', 'the keys above are JSON: 5, ["a",1], {"$bigint":"5"}, {"$bytes":"AQI="}')
    .option('--reverse', 'from the last key to the first')
    .option('--limit <number>', `at most so many; ${LINES} when left out, all with --json`, wholeNumber)
    .option('--keys', 'keys only')
    .action(async (where: string, options: Options) => {
      const range = rangeOf(options)
      await withStore(
        context,
        where,
        options,
        async (store) => {
          const stored = await openTable(store, options)
          if (options.json) await printJson(context, stored, range, options)
          else await printLines(context, stored, range, options)
        },
        { shard: options.partition },
      )
    })
}

function rangeOf(options: Options): ScanOptions<Key> {
  const parse = options.jsonKeys ? keyOfJson : (text: string) => text
  const given = BOUNDS.flatMap((bound) => (options[bound] === undefined ? [] : [[bound, parse(options[bound])]]))
  return { ...(Object.fromEntries(given) as ScanOptions<Key>), reverse: options.reverse === true }
}

async function printJson(
  { out }: Context,
  { table, decode }: StoredTable,
  range: ScanOptions<Key>,
  { limit, keys }: Options,
): Promise<void> {
  if (keys) {
    for await (const key of table.keys({ ...range, limit })) await out.line(`{"key":${taggedJson(key)}}`)
    return
  }
  for await (const [key, bytes] of table.entries({ ...range, limit })) {
    await out.line(`{"key":${taggedJson(key)},"value":${taggedJson(decode(bytes))}}`)
  }
}

async function printLines(
  { out, note, paint }: Context,
  { table, decode }: StoredTable,
  range: ScanOptions<Key>,
  options: Options,
): Promise<void> {
  let left = options.limit ?? LINES
  // One entry more than is shown tells whether there are others.
  const scanned = { ...range, limit: left + 1 }
  const line = (key: Key, value: string): string => {
    const name = cut(show(key), WIDTH)
    return paint('cyan', name) + cut(name + value, WIDTH).slice(name.length)
  }
  // With --keys no value is read.
  const lines = options.keys
    ? mapped(table.keys(scanned), (key) => line(key, ''))
    : mapped(table.entries(scanned), ([key, bytes]) => line(key, `  ${show(decode(bytes))}`))
  for await (const text of lines) {
    if (left-- > 0) await out.line(text)
    else if (options.limit === undefined) note(`These are the first ${count(LINES)}; --limit shows more.`)
  }
}

async function* mapped<T>(items: AsyncIterable<T>, text: (item: T) => string): AsyncGenerator<string, void> {
  for await (const item of items) yield text(item)
}
