/** Epochs as versions: the one with which a run of `consume()` says that an epoch is over is known by its label. */
import { TidemarkError } from '../errors.js'
import { readHeads, stateOf } from '../engine/history/past.js'
import { isOver, pinsOf, stateOfPin } from '../engine/history/pins.js'
import { factsOfPin, isThinned } from '../engine/history/thinned.js'
import type { InLog } from '../engine/shards/moments.js'
import type { PastLog } from '../engine/shards/lineage.js'
import { nowIn } from './context.js'

/** The version with which an epoch was over. */
export interface EpochEnd {
  /** The number of the epoch, as the option `epoch` of the run has given it. */
  readonly epoch: number
}

/** The label of the version with which an epoch is over. */
export function epochLabel(epoch: number): string {
  return `epoch ${epoch}`
}

/** The epoch that a label says is over. */
export function epochOf(label: string | undefined): number | undefined {
  const epoch = label?.startsWith('epoch ') ? Number(label.slice(6)) : NaN
  return Number.isFinite(epoch) && epochLabel(epoch) === label ? epoch : undefined
}

/** So many entries are read at once. */
const READ_AT_ONCE = 32

/**
 * The kept versions of a log that end an epoch, newest first. Where the log was put back, what was made since the version that it was put
 * back to does not count, as its epochs come again.
 */
export async function* epochEnds({ context, log, state }: PastLog): AsyncGenerator<EpochEnd & { readonly n: number }> {
  const { keeps, trim, version } = state.carried
  const oldest = Math.max(keeps, trim + 1)
  for (let last = version; last >= oldest;) {
    const heads = await readHeads(context, log, Math.max(oldest, last - READ_AT_ONCE + 1), last)
    last -= heads.length
    for (const { entry } of heads) {
      const { n, kind, label, origin } = entry
      if (origin) {
        last = origin.log === log.path ? Math.min(origin.version, n - 1) : 0
        break
      }
      const epoch = kind === 'commit' ? epochOf(label) : undefined
      if (epoch !== undefined) yield { epoch, n }
    }
  }
}

/** The newest version of a log that ends the epoch. */
export async function findEpoch(shard: PastLog, { epoch }: EpochEnd): Promise<InLog> {
  const label = epochLabel(epoch)
  for await (const { epoch: ended, n } of epochEnds(shard)) {
    if (ended === epoch) return { state: await stateOf(shard, n), from: undefined }
  }
  const now = nowIn(shard.context, shard)
  const pin = (await pinsOf(shard)).findLast((each) => {
    if (each.kind !== 'tag' || isOver(each, now)) return false
    return (isThinned(each) ? factsOfPin(each, each.blob).label : each.label) === label
  })
  if (pin) return { state: await stateOfPin(shard.log.platform, pin, shard.log.path), from: pin }
  throw new TidemarkError(
    'NOT_FOUND',
    `Store "${shard.context.store}" has no version that ends epoch ${epoch}; versions() shows those that it has by their labels.`,
  )
}
