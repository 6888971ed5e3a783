import type { Offsets } from '../../log/offsets.js'
import type { VersionInfo, VersionsOptions } from '../../store/history.js'
import {
  shardOption,
  storeCommand,
  wholeNumber,
  withStore,
  type AddCommand,
  type ShardOption,
  type StoreOptions,
} from '../context.js'
import { grid, left, right, whole } from '../grid.js'
import { plainJson } from '../json.js'
import { cut, harmless, size, time } from '../../tools/text.js'

type Options = StoreOptions & VersionsOptions & ShardOption

/** How many characters of a label, tags or offsets are shown, however wide the terminal is. */
const LONGEST = 200
/** How many rows share their widths. The names of the columns stand above each lot. */
const PAGE = 200

export const versions: AddCommand = (program, context) => {
  shardOption(storeCommand(program, 'versions', 'List the versions of a store, oldest first.'))
    .option('--gte <version>', 'this version and later ones', wholeNumber)
    .option('--lte <version>', 'this version and earlier ones', wholeNumber)
    .option('--reverse', 'newest first')
    .option('--limit <number>', 'at most so many', wholeNumber)
    .action(async (where: string, options: Options) => {
      const { gte, lte, reverse, limit } = options
      await withStore(
        context,
        where,
        options,
        async (store) => {
          let page: string[][] = []
          for await (const info of store.versions({ gte, lte, reverse, limit })) {
            if (options.json) await context.out.line(jsonOf(info))
            else if (page.push(rowOf(info)) === PAGE) {
              await context.out.line(grid(context, COLUMNS, page))
              page = []
            }
          }
          if (page.length > 0) await context.out.line(grid(context, COLUMNS, page))
        },
        { shard: options.partition },
      )
    })
}

/** A version as `store.versions()` gives it. A field that it does not have is null. */
function jsonOf(info: VersionInfo): string {
  return plainJson({ ...info, label: info.label ?? null, meta: info.meta ?? null })
}

const COLUMNS = [
  right('version'),
  whole('time'),
  whole('kind'),
  right('bytes'),
  whole('folded'),
  left('label'),
  left('tags'),
  left('offsets'),
]

function rowOf({ version, time: at, kind, bytes, folded, label, tags, offsets }: VersionInfo): string[] {
  const text = [label ?? '', tags.join(' '), offsetsText(offsets)].map((field) => cut(harmless(field), LONGEST))
  return [String(version), time(at), kind, size(bytes), folded ? 'yes' : '', ...text]
}

/** Offsets as `clicks 7, views 0:x 3:9`. */
function offsetsText(offsets: Offsets): string {
  return Object.entries(offsets)
    .map(([source, at]) => {
      if (typeof at !== 'object') return `${source} ${at}`
      return [source, ...Object.entries(at).map(([partition, next]) => `${partition}:${next}`)].join(' ')
    })
    .join(', ')
}
