import { toHex } from '../../bytes/hex.js'
import type { Turn } from '../../log/shard-parts.js'
import { fullShards, type FullShard } from '../../tools/family.js'
import { count, size } from '../../tools/text.js'
import { placeOf, storeCommand, type AddCommand, type StoreOptions } from '../context.js'
import { grid, left, right, whole } from '../grid.js'
import { plainJson } from '../json.js'

export const shards: AddCommand = (program, context) => {
  storeCommand(program, 'shards', 'List the shards of a store, by their partitions.').action(
    async (where: string, options: StoreOptions) => {
      const place = await placeOf(context, where, options)
      const found = await fullShards(place)
      if (options.json) for (const shard of found) await context.out.line(plainJson(recordOf(shard)))
      else await context.out.line(grid(context, COLUMNS, found.map(rowOf)))
    },
  )
}

const COLUMNS = [
  whole('partitions'),
  right('version'),
  right('tail'),
  right('bytes'),
  right('own'),
  right('borrowed'),
  left('owner'),
  whole('log id'),
  left('parents'),
]

function rowOf({ shard, tail, segments, turn }: FullShard): string[] {
  const { first, last, version, log, parents, sealed } = shard
  return [
    rangeText({ first, last }),
    String(version),
    count(tail.entries),
    size(tail.bytes),
    size(segments.own),
    size(segments.borrowed),
    sealed === undefined ? ownerText(turn) : `sealed at ${sealed}`,
    log,
    parents.map(shortId).join(' '),
  ]
}

function recordOf({ shard, turn, ...holds }: FullShard) {
  const owner = turn && {
    member: toHex(turn.member),
    generation: turn.generation,
    released: turn.isReleased,
    trial: turn.isTrial,
  }
  return { ...shard, ...holds, owner: owner ?? null }
}

/** Who has the turn in a group; nobody where it was released. */
function ownerText(turn: Turn | undefined): string {
  if (turn === undefined || turn.isReleased) return ''
  return `${shortId(toHex(turn.member))}${turn.isTrial ? ', on trial' : ''}`
}

export function rangeText({ first, last }: { readonly first: number; readonly last: number }): string {
  return first === last ? String(first) : `${first}-${last}`
}

/** So much of an id as tells it from others. */
export function shortId(id: string): string {
  return id.slice(0, 8)
}
