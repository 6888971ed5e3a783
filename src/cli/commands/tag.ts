import { invalid, isTidemarkError } from '../../errors.js'
import { tagShards } from '../../group/cut.js'
import type { TagInfo } from '../../store/old-versions.js'
import type { Store } from '../../store/store.js'
import type { StorePlace } from '../../tools/place.js'
import {
  shardOption,
  shardsIn,
  withWriter,
  writerCommand,
  type AddCommand,
  type Context,
  type ShardOption,
  type StoreOptions,
} from '../context.js'
import { plainJson } from '../json.js'
import { time } from '../../tools/text.js'
import { rangeText } from './shards.js'
import { atOption, spanOf, type AtOption } from '../when.js'

interface TagOptions extends StoreOptions, AtOption, ShardOption {
  readonly ttl?: number
}

export const tag: AddCommand = (program, context) => {
  const command = writerCommand(program, 'tag', 'Keep a version under a name, by default the newest one.')
  shardOption(atOption(command))
    .argument('<name>', 'the name of the tag')
    .option('--ttl <time>', 'how long it is kept: 30s, 15m, 12h, 7d; until untag when left out', spanOf)
    .action(async (where: string, name: string, options: TagOptions) => {
      const { at, ttl: ttlMs, json, partition } = options
      if (ttlMs === 0) throw invalid('--ttl: a span of time above 0 is expected.')
      const { shards, ...place } = await shardsIn(context, where, options)
      if (shards && partition === undefined) return tagAll(context, place, name, options)
      const act = async (store: Store): Promise<void> => {
        const info = await store.tag(name, { at, ttlMs })
        await context.out.line(json ? plainJson(info) : textOf(info))
      }
      await withWriter(context, where, { ...options, store: place.name }, act, { shard: partition })
    })
}

/** Tags the version that each shard has now, or had at a moment. */
async function tagAll(context: Context, place: StorePlace, name: string, options: TagOptions): Promise<void> {
  const { at = NOW, ttl: ttlMs, json } = options
  if (!(at instanceof Date)) {
    throw invalid('--at: each shard has versions of its own; give a date, or name a shard by --partition.')
  }
  const shards = await tagShards(place, name, { at, ttlMs, clock: context.clock })
  const each = shards.map(({ version, ...range }) => `${version} of ${rangeText(range)}`).join(', ')
  await context.out.line(json ? plainJson({ name, shards }) : `Tag "${name}" keeps a version of each shard: ${each}.`)
}

/** Later than any commit. */
const NOW = new Date(8.64e15)

function textOf({ name, version, time: at, expires }: TagInfo): string {
  return `Tag "${name}" keeps version ${version} of ${time(at)}${expires === undefined ? '' : ` until ${time(expires)}`}.`
}

export const untag: AddCommand = (program, context) => {
  shardOption(writerCommand(program, 'untag', 'Take a tag away; its version goes when nothing else keeps it.'))
    .argument('<name>', 'the name of the tag')
    .action(async (where: string, name: string, options: StoreOptions & ShardOption) => {
      const { name: store, shards } = await shardsIn(context, where, options)
      const wanted = options.partition === undefined && shards ? shards.map(({ first }) => first) : [options.partition]
      const missing: unknown[] = []
      for (const shard of wanted) {
        await withWriter(context, where, { ...options, store }, (opened) => opened.untag(name), { shard }).catch(
          (error: unknown) => {
            if (!isTidemarkError(error) || error.code !== 'NOT_FOUND') throw error
            missing.push(error)
          },
        )
      }
      if (missing.length === wanted.length) throw missing[0]
      await context.out.line(options.json ? plainJson({ name }) : `Tag "${name}" is gone.`)
    })
}

export const fork: AddCommand = (program, context) => {
  const command = writerCommand(program, 'fork', 'Make a store of its own from a version, by default the newest one.')
  atOption(command)
    .argument('<name>', 'the name of the new store')
    .action(async (where: string, name: string, options: StoreOptions & AtOption) => {
      const { name: from, shards } = await shardsIn(context, where, options)
      if (shards) {
        throw invalid(
          `Store "${from}" has ${shards.length} shards, and only a store of one can be forked as yet. Bring them together first, by \`tidemark rescale\` with --shards 1.`,
        )
      }
      await withWriter(context, where, { ...options, store: from }, async (store) => {
        const past = await store.at(options.at ?? store.version)
        const { version } = past
        await store.fork(name, { at: options.at ?? version })
        const text = `Store "${name}" begins with version ${version} of store "${store.name}".`
        await context.out.line(options.json ? plainJson({ name, version }) : text)
      })
    })
}
