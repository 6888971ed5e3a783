/**
 * Following a store that has several shards: each log is followed by itself, and their states are shown as one. Where a log was sealed
 * its children are followed in its place, as soon as all of them are there; until then its last state is shown. Nothing is written.
 */
import { toHex } from '../../bytes/hex.js'
import { TidemarkError, invalid } from '../../errors.js'
import type { Child } from '../../log/shard-parts.js'
import { closeLog, type LogContext, type ShardContext } from '../context.js'
import { stateAt } from '../history/past.js'
import type { FollowedLog, OpenedShard, Shown, Together as Followed } from '../open/following.js'
import { overtaken } from '../open/recovery.js'
import type { OpenRequest } from '../open/request.js'
import { DamageDetector } from '../repair/detector.js'
import { statesOf, type AppliedEntry, type KeptLog, type ShardState, type StatePart } from '../state.js'
import { compose } from './composed.js'
import { contextOf, lookAt, rangeOf, type Look, type Range } from './end.js'
import { leaves, rangeOfLeaf, tiles } from './family.js'
import { finding, heirsOf, type Sealed } from './heirs.js'
import { overlaps } from './succession.js'

/** How often the shards may change while they are looked at. */
const TRIES = 16

/** Opens a store whose root was sealed, to follow all of its shards, or that of a partition. `undefined` when there is no store. */
export async function openTogether(ctx: ShardContext, request: OpenRequest): Promise<OpenedShard | undefined> {
  const within = partitionOf(request.shard)
  for (let tries = TRIES; tries > 0; tries--) {
    const found = await leaves({ ...ctx, shard: undefined }, finding(within), within)
    if (found === undefined) return undefined
    const kept = withoutReplaced(found)
    let opened: OpenedShard | undefined
    try {
      if (within && !found.some((look) => overlaps(rangeOfLeaf(look), within)))
        throw invalid(`shard: store "${ctx.store}" has no partition ${request.shard}.`)
      if (tiles(kept.map(rangeOfLeaf), within)) opened = await openLeaves(ctx, request, kept, within)
      if (opened) return opened
    } finally {
      for (const look of found) if (!opened || !kept.includes(look)) await closeLog(look.context, look.log)
    }
  }
  throw overtaken(ctx)
}

async function openLeaves(
  ctx: ShardContext,
  request: OpenRequest,
  found: readonly Look<ShardContext>[],
  within: Range | undefined,
): Promise<OpenedShard> {
  const open = await Promise.all(found.map(leafOf))
  for (const { detector } of open) await detector.prepare()
  const [{ context, log, state: first }] = open as [Leaf]
  const state = open.length === 1 ? first : compose(partsOf(open))
  await request.check(state)
  const opened = { context: { ...ctx, shard: context.shard }, log, state }
  return open.length === 1 ? opened : { ...opened, together: (shown) => new Together(shown, open, within) }
}

/** A handle that has followed one log until it was sealed. */
export function followOn(shown: Shown, shard: number | undefined): Followed {
  const { context, log, state } = shown
  return new Together(shown, [new Leaf(context, log, state)], partitionOf(shard))
}

function partitionOf(shard: number | undefined): Range | undefined {
  return shard === undefined ? undefined : { first: shard, last: shard }
}

/** Children may have come while the logs were looked at one by one: what they come in the place of is not shown beside them. */
function withoutReplaced(found: readonly Look<ShardContext>[]): readonly Look<ShardContext>[] {
  const living = found.filter(({ seal }) => !seal).map(rangeOfLeaf)
  return found.filter((look) => !look.seal || !living.some((range) => overlaps(range, look.range)))
}

async function leafOf(look: Look<ShardContext>): Promise<Leaf> {
  const { context, log, state, seal } = look
  if (!seal) return new Leaf(context, log, state)
  return new Leaf(context, log, { ...(state ?? (await stateAt(context, log, look.n))), seal })
}

/** One of the logs that are followed. */
class Leaf implements FollowedLog, KeptLog {
  readonly context: ShardContext
  readonly log: LogContext
  state: ShardState
  readonly known = undefined
  readonly hasEnded = false
  readonly compaction = undefined
  readonly detector = new DamageDetector(this)
  /** What was applied since it was shown; `undefined` when that is not known. */
  entries: readonly AppliedEntry[] | undefined = []
  /** The versions that nobody was told of yet. */
  versions: Readonly<Record<string, unknown>>[] = []
  shown: Together | undefined

  constructor(ctx: ShardContext, log: LogContext, state: ShardState) {
    this.log = log
    this.state = state
    this.context = {
      ...ctx,
      moved: () => undefined,
      emit: (event, detail) => {
        if (event === 'version') this.versions.push(detail)
        else ctx.emit(event, detail)
      },
    }
  }

  get first(): number {
    return rangeOf(this.state).first
  }

  get last(): number {
    return rangeOf(this.state).last
  }

  moveTo(after: ShardState, entries: readonly AppliedEntry[] | undefined): void {
    this.state = after
    this.entries = entries && this.entries && [...this.entries, ...entries]
  }

  replace(equal: ShardState): void {
    this.state = equal
    this.shown?.replaced()
  }

  shownNow(): void {
    this.entries = []
    this.versions = []
  }

  met(): void {
    // Only a handle that writes asks.
  }
}

class Together implements Followed {
  readonly #shown: Shown
  readonly #within: Range | undefined
  #leaves: readonly Leaf[]

  constructor(shown: Shown, open: readonly Leaf[], within: Range | undefined) {
    this.#shown = shown
    this.#within = within
    this.#leaves = open
    this.#take()
  }

  /** Leaves that are new stay open until the handle is closed, for whoever still reads what it has shown. */
  #take(): void {
    for (const leaf of this.#leaves) {
      leaf.shown = this
      if (leaf.log !== this.#shown.log) this.#keepOpen(leaf)
    }
  }

  #keepOpen({ context, log }: Pick<Leaf, 'context' | 'log'>): void {
    this.#shown.others.set(log.path, { context, log })
  }

  /** What others have written since, in all logs; and what follows on those that were sealed. */
  async catchUp(each: (log: FollowedLog) => Promise<void>): Promise<void> {
    let isSame = true
    for (let tries = TRIES; tries > 0; tries--) {
      const open = this.#leaves.filter(({ state }) => !state.seal)
      const ends = await Promise.allSettled(open.map(each))
      // A merge may be known of one of its parents alone: the other one is caught up with first.
      if (tiles(this.#leaves, this.#within)) {
        this.#show(isSame)
        isSame = true
      }
      const failed = ends.find((end) => end.status === 'rejected')
      if (failed) throw failed.reason
      if (await this.#goOn()) isSame = false
      else if (isSame) return
    }
    throw overtaken(this.#shown.context)
  }

  /** A leaf stands on other segments. */
  replaced(): void {
    this.#shown.replace(this.#state())
  }

  #state(): ShardState {
    const [leaf] = this.#leaves
    const { log, state } = this.#shown
    // The log of the handle, until something follows on it.
    if (this.#leaves.length === 1 && leaf!.log === log) return leaf!.state
    return compose(partsOf(this.#leaves), state)
  }

  #show(isSame: boolean): void {
    const shown = this.#shown
    const before = shown.state
    const known = statesOf(before)
    if (!isSame || this.#leaves.some(({ state }, at) => known[at] !== state)) {
      const isKnown = isSame && this.#leaves.every(({ entries }) => entries)
      shown.moveTo(this.#state(), isKnown ? this.#leaves.flatMap((leaf) => leaf.entries!) : undefined)
      shown.context.moved()
    }
    const told = this.#leaves.flatMap(({ versions }) => versions)
    for (const leaf of this.#leaves) leaf.shownNow()
    const { version } = shown.state.carried
    if (!isSame && version !== before.carried.version) told.push({ version })
    for (const detail of told) shown.context.emit('version', detail)
  }

  /** Puts the children of logs that were sealed in their place. Resolves with whether there were any. */
  async #goOn(): Promise<boolean> {
    const next = new Map(this.#leaves.map((leaf) => [toHex(leaf.log.logId), leaf]))
    const seen = new Set(next.keys())
    let isMoved = false
    for (const { context, log, state } of this.#leaves) {
      if (state.seal === undefined) continue
      const sealed = { context, log, seal: state.seal, range: rangeOf(state) }
      isMoved = (await this.#follow(sealed, next, seen)) || isMoved
    }
    if (!isMoved) return false
    const fresh = [...next.values()].filter((leaf) => !this.#leaves.includes(leaf))
    for (const { detector } of fresh) await detector.prepare()
    this.#leaves = [...next.values()].sort((a, b) => a.first - b.first)
    this.#take()
    return true
  }

  /** Puts what follows on a log in its place, however often that was sealed since. */
  async #follow(sealed: Sealed, next: Map<string, Leaf>, seen: Set<string>): Promise<boolean> {
    const heirs = await heirsOf(sealed, this.#within)
    if (heirs === undefined) return false
    for (const logId of heirs.parents) next.delete(toHex(logId))
    const enter = async (child: Child): Promise<void> => {
      const key = toHex(child.logId)
      if (seen.has(key)) return
      seen.add(key)
      const look = await lookAt(contextOf(this.#shown.context, child.logId), child)
      if (look === undefined) throw gone(this.#shown.context)
      this.#keepOpen(look)
      if (!look.seal || !(await this.#follow(look, next, seen))) next.set(key, await leafOf(look))
    }
    await Promise.all(heirs.children.map(enter))
    return true
  }
}

function gone({ store }: ShardContext): TidemarkError {
  return new TidemarkError('NOT_FOUND', `Store "${store}" was destroyed; call reopen() to look again.`)
}

/** As they are now: a leaf goes on. */
function partsOf(open: readonly Leaf[]): readonly StatePart[] {
  return open.map((leaf) => ({ of: leaf, state: leaf.state, first: leaf.first, last: leaf.last }))
}
