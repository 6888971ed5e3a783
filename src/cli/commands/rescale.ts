/** The commands split, merge and rescale: how many shards a store has. */
import { InvalidArgumentError } from 'commander'
import { invalid } from '../../errors.js'
import { rescale as rescaleStore, type Scale, type ShardRange } from '../../group/rescale.js'
import { listShards } from '../../tools/family.js'
import { count } from '../../tools/text.js'
import { placeOf, wholeNumber, fencingCommand, type AddCommand, type Context, type StoreOptions } from '../context.js'
import { plainJson } from '../json.js'
import { rangeText } from './shards.js'

export const split: AddCommand = (program, context) => {
  fencingCommand(program, 'split', 'Make several shards of one, each with a log of its own. Nothing is copied.')
    .requiredOption('--at <partitions>', 'the partitions with which new shards begin: 16,32', partitionsOf)
    .action((where: string, options: StoreOptions & { readonly at: readonly number[] }) =>
      change(context, where, options, (shards) => ({ cuts: withCuts(shards, options.at) })),
    )
}

export const merge: AddCommand = (program, context) => {
  fencingCommand(program, 'merge', 'Make one shard of neighbouring ones. Nothing is copied.')
    .requiredOption('--first <partition>', 'the first partition of the first one', wholeNumber)
    .requiredOption('--last <partition>', 'the last partition of the last one', wholeNumber)
    .action((where: string, options: StoreOptions & ShardRange) =>
      change(context, where, options, (shards) => ({ cuts: withoutCuts(shards, options) })),
    )
}

interface RescaleOptions extends StoreOptions {
  readonly shards?: number
  readonly cuts?: readonly number[]
}

export const rescale: AddCommand = (program, context) => {
  const command = fencingCommand(program, 'rescale', 'Bring a store to other shards, by splits and merges.')
    .option('--shards <number>', 'so many of like size', wholeNumber)
    .option('--cuts <partitions>', 'the first partitions of all shards but the first: 16,32', partitionsOf)
  command.action((where: string, options: RescaleOptions) => {
    const { shards, cuts } = options
    if ((shards === undefined) === (cuts === undefined)) command.error('error: give either --shards or --cuts')
    return change(context, where, options, () => ({ shards, cuts }))
  })
}

async function change(
  context: Context,
  where: string,
  options: StoreOptions,
  scaleOf: (shards: readonly ShardRange[]) => Scale,
): Promise<void> {
  const place = await placeOf(context, where, options)
  const before = await listShards(place)
  const after = await rescaleStore(place, scaleOf(before), { clock: context.clock })
  const isSame = listOf(before) === listOf(after)
  const what = after.length === 1 ? 'one shard' : `${count(after.length)} shards`
  const text = `Store "${place.name}" has ${what}${isSame ? ' already' : ' now'}: ${listOf(after)}.`
  await context.out.line(options.json ? plainJson({ store: place.name, changed: !isSame, shards: after }) : text)
}

function listOf(shards: readonly ShardRange[]): string {
  return shards.map(rangeText).join(', ')
}

function cutsOf(shards: readonly ShardRange[]): number[] {
  return shards.slice(1).map(({ first }) => first)
}

function withCuts(shards: readonly ShardRange[], at: readonly number[]): number[] {
  const partitions = shards.at(-1)!.last + 1
  const wrong = at.find((cut) => cut < 1 || cut >= partitions)
  if (wrong !== undefined) {
    throw invalid(
      partitions === 1
        ? '--at: the store has one partition, and a shard has a partition at least.'
        : `--at: partitions from 1 to ${partitions - 1} are expected, not ${wrong}.`,
    )
  }
  return [...new Set([...cutsOf(shards), ...at])].sort((a, b) => a - b)
}

function withoutCuts(shards: readonly ShardRange[], { first, last }: ShardRange): number[] {
  if (!shards.some((shard) => shard.first === first)) {
    throw invalid(`--first: a shard begins with ${shards.map((shard) => shard.first).join(', ')}, not with ${first}.`)
  }
  if (last < first || !shards.some((shard) => shard.last === last)) {
    throw invalid(`--last: a shard from ${first} on ends with ${endsFrom(shards, first)}, not with ${last}.`)
  }
  return cutsOf(shards).filter((cut) => cut <= first || cut > last)
}

function endsFrom(shards: readonly ShardRange[], first: number): string {
  return shards
    .filter(({ last }) => last >= first)
    .map(({ last }) => last)
    .join(', ')
}

/** Reads `16,32`. */
function partitionsOf(text: string): number[] {
  const numbers = text.split(',').map(Number)
  if (!/^\d+(,\d+)*$/.test(text) || !numbers.every(Number.isSafeInteger)) {
    throw new InvalidArgumentError('Partitions are expected, with commas between: 16,32.')
  }
  return numbers
}
