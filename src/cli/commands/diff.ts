import type { Key } from '../../bytes/keys.js'
import { storedBytes } from '../../store/table-spec.js'
import type { When } from '../../store/find.js'
import { handleOf } from '../../store/handles.js'
import { diff as differences, type DiffChange } from '../../tools/diff.js'
import {
  shardOption,
  storeCommand,
  wholeNumber,
  withStore,
  type AddCommand,
  type Context,
  type ShardOption,
  type StoreOptions,
} from '../context.js'
import { keyOfJson, taggedJson } from '../json.js'
import { decoderOf, show as stateAt, type StoredTable } from '../stored-table.js'
import { show } from '../../tools/show.js'
import { count, cut } from '../../tools/text.js'
import { whenOf } from '../when.js'

interface Options extends StoreOptions, ShardOption {
  readonly table?: string
  readonly prefix?: string
  readonly jsonKeys?: true
  readonly limit?: number
}

type Change = DiffChange<Key, Uint8Array>

/** How many lines a person is shown without asking for more, and how many characters of a line. */
const LINES = 100
const WIDTH = 2000

export const diff: AddCommand = (program, context) => {
  shardOption(storeCommand(program, 'diff', 'Print what differs between two versions, in the order of keys.'))
    .argument('<a>', 'the one: a version, a tag or a date', whenOf)
    .argument('<b>', 'the other', whenOf)
    .option('--table <name>', 'which table; the default one when left out')
    .option('--prefix <key>', 'keys that begin so')
    .option('--json-keys', 'the prefix is JSON: 5, ["a",1], {"$bigint":"5"}, {"$bytes":"AQI="}')
    .option('--limit <number>', `at most so many; ${LINES} when left out, all with --json`, wholeNumber)
    .action(async (where: string, a: When, b: When, options: Options) => {
      const { table = '', json, limit } = options
      const prefix = options.prefix !== undefined && options.jsonKeys ? keyOfJson(options.prefix) : options.prefix
      await withStore(
        context,
        where,
        options,
        async (store) => {
          const states = [(await stateAt(store, a)).state, (await stateAt(store, b)).state]
          const decode = decoderOf(store.name, table, states)
          // With this codec the table is compared by its stored bytes.
          handleOf(store).spec(table, { codec: storedBytes })
          let left = limit ?? (json ? Infinity : LINES)
          for await (const change of differences(store, a, b, { table, prefix }) as AsyncIterable<Change>) {
            if (left-- <= 0) {
              if (limit === undefined) context.note(`These are the first ${count(LINES)}; --limit shows more.`)
              break
            }
            await context.out.line(json ? jsonOf(change, decode) : lineOf(context, cut(textOf(change, decode), WIDTH)))
          }
        },
        { shard: options.partition },
      )
    })
}

function jsonOf({ key, before, after }: Change, decode: StoredTable['decode']): string {
  const fields = Object.entries({ before, after }).flatMap(([name, bytes]) =>
    bytes === undefined ? [] : [`"${name}":${taggedJson(decode(bytes))}`],
  )
  return `{${[`"key":${taggedJson(key)}`, ...fields].join(',')}}`
}

const SIGNS = { '+': 'green', '-': 'red', '~': 'yellow' } as const

function lineOf({ paint }: Context, text: string): string {
  return paint(SIGNS[text[0] as keyof typeof SIGNS], text[0]!) + text.slice(1)
}

/** A change as `+ key  new`, `- key  old` or `~ key  old -> new`. */
function textOf({ key, before, after }: Change, decode: StoredTable['decode']): string {
  const sign = before === undefined ? '+' : after === undefined ? '-' : '~'
  const values = [before, after].flatMap((bytes) => (bytes === undefined ? [] : [show(decode(bytes))]))
  return `${sign} ${show(key)}  ${values.join(' -> ')}`
}
