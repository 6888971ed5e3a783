/**
 * A shard undertakes for those that it came of: it collects the logs that were sealed, from the root down to its own, as far as they had
 * any of its partitions. So every sealed log is collected by somebody.
 */
import { equalBytes } from '../../bytes/compare.js'
import { readAnchor } from '../../log/anchor.js'
import { decodeSealedEnd } from '../../log/sealed-anchor.js'
import type { Child } from '../../log/shard-parts.js'
import { anchorName, closeLog, openAnchor, type LogContext, type ShardContext } from '../context.js'
import type { CollectOptions } from '../gc/collector.js'
import { segmentsOf, type ShardState } from '../state.js'
import { contextOf, lookAt, rangeOf, type Ended } from './end.js'
import { leaves, rangeOfLeaf } from './family.js'
import { finding, heirsOf } from './heirs.js'
import { findSuccessors, type FindSuccessors } from './needs.js'
import { hint } from './rescale.js'
import { overlaps } from './succession.js'
import { Undertaker, type Undertaken } from './undertaker.js'

/** A sealed log that this shard collects. */
interface Charge {
  readonly log: LogContext
  readonly undertaker: Undertaker
  /** Beside commits it is looked at every so many times, and left out for some more. */
  every: number
  rest: number
}

/**
 * To judge a sealed log takes reading all that came of it. So where nothing comes of it, it is judged half as often the next time, and the
 * shards without its first partition leave it to the one with it at first.
 */
const OTHERS = 16
const SELDOM = 256

/** The shard that undertakes. */
export interface Undertakes {
  readonly context: ShardContext
  readonly state: ShardState
}

export class Undertaking {
  readonly #shard: Undertakes
  readonly #signal: AbortSignal
  readonly #successors: FindSuccessors
  /** By the paths of their logs. */
  readonly #charges = new Map<string, Charge>()
  /** The logs of which nothing is left but the anchor. */
  readonly #gone = new Set<string>()

  constructor(shard: Undertakes, signal: AbortSignal) {
    this.#shard = shard
    this.#signal = signal
    this.#successors = findSuccessors(shard.context)
  }

  /** Collects them, those that are due for it where it is `beside` commits. */
  async run(options: CollectOptions, isBeside: boolean): Promise<Omit<Undertaken, 'isGone'>> {
    const sum = {
      deleted: { entries: 0, segments: 0, pins: 0, bytes: 0 },
      condemned: { entries: 0, segments: 0 },
      waiting: 0,
    }
    let { maxDeletes } = options
    const mine = new Set(segmentsOf(this.#shard.state).map(({ name }) => name))
    for await (const ended of this.#sealed()) {
      const { path } = ended.log
      if (this.#gone.has(path) || !options.inTime()) continue
      const charge = this.#chargeOf(ended)
      if (isBeside && charge.rest-- > 0) continue
      const { deleted, condemned, waiting, isGone } = await charge.undertaker.run({ ...options, maxDeletes }, mine)
      if (isGone && !options.dryRun) this.#gone.add(path)
      for (const key of ['entries', 'segments', 'pins', 'bytes'] as const) sum.deleted[key] += deleted[key]
      for (const key of ['entries', 'segments'] as const) sum.condemned[key] += condemned[key]
      sum.waiting += waiting
      const count = deleted.entries + deleted.segments + deleted.pins
      maxDeletes -= count
      charge.every = count + condemned.entries + condemned.segments > 0 ? 1 : Math.min(2 * charge.every, SELDOM)
      charge.rest = charge.every - 1
    }
    if (!options.dryRun) await this.#note()
    return sum
  }

  /** The root's anchor tells which logs live, so that opening is quick: whoever finds that it does not know of him says it anew. */
  async #note(): Promise<void> {
    const { context, state } = this.#shard
    const root = contextOf(context)
    const { value } = await readAnchor(openAnchor(root), anchorName(root))
    if (value?.sealed === undefined || state.of) return
    const { living } = decodeSealedEnd(value.sealed, anchorName(root))
    if (living.some(({ logId }) => equalBytes(logId, state.logId))) return
    const found = (await leaves(root, finding())) ?? []
    for (const leaf of found) await closeLog(leaf.context, leaf.log)
    if (found.some(({ seal }) => seal)) return
    await hint(
      root,
      found.map((leaf) => ({ logId: leaf.log.logId, first: rangeOfLeaf(leaf).first, last: rangeOfLeaf(leaf).last })),
    )
  }

  #chargeOf({ context, log, range }: Ended<ShardContext>): Charge {
    const known = this.#charges.get(log.path)
    if (known) return known
    const undertaker = new Undertaker(context, log, range, this.#successors, this.#signal)
    const every = overlaps({ first: range.first, last: range.first }, rangeOf(this.#shard.state)) ? 1 : OTHERS
    const charge = { log, undertaker, every, rest: every - 1 }
    this.#charges.set(log.path, charge)
    return charge
  }

  /** The sealed logs of which the shard came, older ones first. Their logs stay open as long as they have undertakers. */
  async *#sealed(): AsyncGenerator<Ended<ShardContext>, void> {
    const { context, state } = this.#shard
    const within = rangeOf(state)
    const own = contextOf(context, state.logId).shard
    const seen = new Set<string | undefined>()
    const queue: (Child | undefined)[] = [undefined]
    for (const child of queue) {
      const ctx = contextOf(context, child?.logId)
      if (seen.has(ctx.shard) || ctx.shard === own) continue
      seen.add(ctx.shard)
      const look = await lookAt(ctx, child)
      if (look === undefined) continue
      try {
        if (!look.seal) continue
        yield look
        queue.push(...((await heirsOf(look))?.children ?? []).filter((heir) => overlaps(heir, within)))
      } finally {
        if (this.#charges.get(look.log.path)?.log !== look.log) await closeLog(look.context, look.log)
      }
    }
  }

  /** Lets go of all logs. */
  async stop(): Promise<void> {
    for (const { log } of this.#charges.values()) await closeLog(this.#shard.context, log)
    this.#charges.clear()
  }
}
