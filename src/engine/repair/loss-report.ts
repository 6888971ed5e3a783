/** The error for damage that nothing is left to repair from: what is lost, and where more is to be learned. */
import { toHex } from '../../bytes/hex.js'
import { decodeKey } from '../../bytes/keys.js'
import { corrupt, reasonOf, show, type TidemarkError } from '../../errors.js'
import type { SegmentRef } from '../../manifest/manifest.js'
import { segmentsOf, type ShardState } from '../state.js'

/** `found` is what the first read of each damaged segment said, `names` those that are lost. */
export function lossReport(
  store: string,
  state: ShardState,
  found: ReadonlyMap<string, TidemarkError>,
  names: readonly string[],
  cause: unknown,
): TidemarkError {
  const lost = [...new Map(segmentsOf(state).map((segment) => [segment.name, segment])).values()]
    .filter(({ name }) => names.includes(name))
    .map((segment) => `${found.get(segment.name)!.message} It held ${keysOf(segment)}.`)
  return corrupt(
    `Store "${store}" cannot be repaired. ${lost.join(' ')} ${reasonOf(cause)} Any kept version that does not need it can be opened with at() or put back with restore(). All other keys can be read as before; verify() lists all damage. Restore what is lost from a backup.`,
    cause,
  )
}

/** The keys of a segment by its bounds; they are cut, so that long keys show in part. */
function keysOf({ lower, upper, clip }: SegmentRef): string {
  const [from, to] = [placeOf(lower, 'the first one'), placeOf(upper, 'the last one')]
  const [first, last] = clip ?? [from.partition, to.partition]
  const partitions = first === last ? `partition ${first}` : `partitions ${first} to ${last}`
  if (from.table === to.table) return `keys of ${from.table}, from ${from.key} to ${to.key}, in ${partitions}`
  return `keys from ${from.key} of ${from.table} to ${to.key} of ${to.table}, in ${partitions}`
}

function placeOf(bound: Uint8Array, none: string): { partition: number; table: string; key: string } {
  const name = bound.subarray(3, 3 + (bound[2] ?? 0))
  const key = bound.subarray(3 + name.length)
  return {
    partition: ((bound[0] ?? 0) << 8) | (bound[1] ?? 0),
    table: name.length === 0 ? 'the default table' : `table ${show(new TextDecoder().decode(name))}`,
    key: key.length === 0 ? none : keyText(key),
  }
}

function keyText(key: Uint8Array): string {
  try {
    return show(decodeKey(key))
  } catch {
    return `0x${toHex(key)}`
  }
}
