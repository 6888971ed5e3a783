/** The error for damage that nothing is left to repair from: what is lost, and which versions still open. */
import { toHex } from '../../bytes/hex.js'
import { decodeKey } from '../../bytes/keys.js'
import { corrupt, reasonOf, show, type TidemarkError } from '../../errors.js'
import type { SegmentRef } from '../../manifest/manifest.js'
import { readEntries } from '../history/past.js'
import type { Ground } from './rebuild.js'
import { segmentsOf, type AppliedEntry, type ShardState } from '../state.js'

/** How many entries back it is looked for versions that still open, and how many spans of them are named. */
const LOOK_BACK = 1024
const NAMED = 3

/** `found` is what the first read of each damaged segment said, `names` those that are lost. */
export async function lossReport(
  ground: Ground,
  state: ShardState,
  head: number,
  found: ReadonlyMap<string, TidemarkError>,
  names: readonly string[],
  cause: unknown,
): Promise<TidemarkError> {
  const lost = [...new Map(segmentsOf(state).map((segment) => [segment.name, segment])).values()]
    .filter(({ name }) => names.includes(name))
    .map((segment) => `${found.get(segment.name)!.message} It held ${keysOf(segment)}.`)
  const opens = await openSpans(ground, Math.max(ground.trim + 1, state.carried.keeps, head - LOOK_BACK), head)
  let others = ''
  if (opens?.length === 0) others = ' No kept version does without it.'
  if (opens && opens.length > 0) {
    const one = opens.length === 1 && !opens[0]!.includes(' to ')
    others = ` ${opens.join(', ')} ${one ? 'does' : 'do'} not need it and can be opened with at() or put back with restore().`
  }
  const why = cause === undefined ? '' : ` ${reasonOf(cause)}`
  return corrupt(
    `Store "${ground.ctx.store}" cannot be repaired. ${lost.join(' ')}${why}${others} All other keys can be read as before; restore what is lost from a backup.`,
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

/** Versions that list nothing damaged, newest first, those in a row as one. */
async function openSpans(ground: Ground, first: number, head: number): Promise<string[] | undefined> {
  let entries: AppliedEntry[]
  try {
    entries = await readEntries(ground.ctx, ground.log, first, head)
  } catch {
    // It would only add to a message.
    return undefined
  }
  const byNumber = new Map(entries.map((applied) => [applied.entry.n, applied]))
  const isHit = (runs: AppliedEntry['references'] | AppliedEntry['manifest']): boolean =>
    runs?.runs.flat().some(({ name }) => ground.damaged.has(name)) === true
  const hit = entries.filter(({ references }) => isHit(references)).map(({ entry }) => entry.n)
  const spans: [first: number, last: number][] = []
  let isRow = false
  for (const { entry } of entries.reverse()) {
    if ((entry.kind !== 'commit' && entry.kind !== 'reset') || !entry.carried) continue
    const { manifestAt, covers } = entry.carried
    const manifest = byNumber.get(manifestAt)?.manifest
    const isOpen = manifest && !isHit(manifest) && !hit.some((n) => n > covers && n <= entry.n)
    if (isOpen && isRow) spans.at(-1)![0] = entry.n
    else if (isOpen) spans.push([entry.n, entry.n])
    isRow = isOpen === true
  }
  return spans.slice(0, NAMED).map(([a, b]) => (a === b ? `Version ${a}` : `Versions ${a} to ${b}`))
}
