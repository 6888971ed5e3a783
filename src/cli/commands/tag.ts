import { invalid } from '../../errors.js'
import type { TagInfo } from '../../store/old-versions.js'
import {
  shardOption,
  shardsIn,
  withWriter,
  writerCommand,
  type AddCommand,
  type ShardOption,
  type StoreOptions,
} from '../context.js'
import { plainJson } from '../json.js'
import { time } from '../../tools/text.js'
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
      const { at, ttl: ttlMs, json } = options
      if (ttlMs === 0) throw invalid('--ttl: a span of time above 0 is expected.')
      await withWriter(
        context,
        where,
        options,
        async (store) => {
          const info = await store.tag(name, { at, ttlMs })
          await context.out.line(json ? plainJson(info) : textOf(info))
        },
        { shard: options.partition },
      )
    })
}

function textOf({ name, version, time: at, expires }: TagInfo): string {
  return `Tag "${name}" keeps version ${version} of ${time(at)}${expires === undefined ? '' : ` until ${time(expires)}`}.`
}

export const untag: AddCommand = (program, context) => {
  shardOption(writerCommand(program, 'untag', 'Take a tag away; its version goes when nothing else keeps it.'))
    .argument('<name>', 'the name of the tag')
    .action(async (where: string, name: string, options: StoreOptions & ShardOption) => {
      await withWriter(
        context,
        where,
        options,
        async (store) => {
          await store.untag(name)
          await context.out.line(options.json ? plainJson({ name }) : `Tag "${name}" is gone.`)
        },
        { shard: options.partition },
      )
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
