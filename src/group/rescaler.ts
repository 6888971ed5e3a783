/**
 * A rescaling as its owners make it true: each splits its shards at the cuts of the target, and seals neighbours that have come together at
 * it. What follows on them is its own without a fence, as it has made that itself (S2).
 */
import { fromHex, toHex } from '../bytes/hex.js'
import type { Clock } from '../clock.js'
import { rangeOf, type Living, type Range } from '../engine/shards/end.js'
import { replaceOwned } from '../engine/shards/owned.js'
import type { ShardContext } from '../engine/context.js'
import type { Child, Turn } from '../log/shard-parts.js'
import { StoreHandle } from '../store/handle.js'
import type { ResolvedOptions } from '../store/open-options.js'
import type { Control } from './control.js'
import type { Keeper } from './keeper.js'
import { instant } from './since.js'
import type { LivingLog, Shard } from './state.js'
import { mergesAt, splitsAt } from './target.js'
import { replaced } from './transitions.js'
import type { Taken } from './turn.js'

export interface RescalerHost {
  readonly member: string
  readonly clock: Clock
  readonly control: Control
  /** The options by which a shard is opened. */
  readonly store: ResolvedOptions
  keeperOf(id: string): Keeper | undefined
  /** Takes over a shard that was made here. */
  adopt(shard: LivingLog, handle: StoreHandle, taken: Taken): void
  warn(message: string, cause?: unknown): void
}

/** Logs that were sealed, and what follows on them. */
interface Replaced {
  readonly parents: readonly string[]
  readonly children: readonly LivingLog[]
}

export class Rescaler {
  readonly #host: RescalerHost
  readonly #busy = new Set<string>()
  /** What the control store does not say yet. */
  #untold: Replaced[] = []

  constructor(host: RescalerHost) {
    this.#host = host
  }

  /** Whether the shard was made here, and the control store does not say so yet. */
  isUntold(id: string): boolean {
    return this.#untold.some(({ children }) => children.some((child) => child.id === id))
  }

  /** Begins what is due, and goes on beside everything else. */
  async consider(): Promise<void> {
    await this.#tell()
    const { control, member } = this.#host
    const { state } = control
    for (const { shard, into } of splitsAt(state, member)) this.#begin([shard], into)
    for (const parents of mergesAt(state, member)) {
      this.#begin(parents, [{ first: parents[0]!.first, last: parents.at(-1)!.last }])
    }
  }

  #begin(parents: readonly Shard[], into: readonly Range[]): void {
    if (parents.some(({ id }) => this.#busy.has(id))) return
    const keepers = parents.map(({ id }) => this.#host.keeperOf(id))
    if (!keepers.every((keeper): keeper is Keeper => keeper?.tenure !== undefined)) return
    for (const { id } of parents) this.#busy.add(id)
    void this.#replace(keepers, into).finally(() => {
      for (const { id } of parents) this.#busy.delete(id)
    })
  }

  async #replace(keepers: readonly Keeper[], into: readonly Range[]): Promise<void> {
    const { member, clock, control } = this.#host
    const parents = keepers.map(({ shard }) => shard.id)
    try {
      const tenures = await Promise.all(keepers.map((keeper) => keeper.rest()))
      for (const tenure of tenures) await tenure.before('commit')
      const turn: Turn = {
        generation: control.generation,
        member: fromHex(member),
        isReleased: false,
        isTrial: false,
      }
      const sent = instant(clock)
      const shards = tenures.map(({ handle }) => handle.shard)
      const { children, born } = await replaceOwned(shards, into, turn)
      for (const keeper of keepers) keeper.replaced()
      this.#untold.push({ parents, children: children.map(livingOf) })
      for (const living of born) await this.#adopt(living, { turn, sent })
      await this.#tell()
    } catch (cause) {
      for (const keeper of keepers) keeper.resume()
      const { first } = keepers[0]!.shard
      const { last } = keepers.at(-1)!.shard
      this.#host.warn(`Shard ${first}-${last} could not be split or merged yet.`, cause)
    }
  }

  async #adopt(living: Living<ShardContext>, taken: Taken): Promise<void> {
    const { first, last } = rangeOf(living.state)
    const id = toHex(living.log.logId)
    const options = { ...this.#host.store, mode: 'exclusive' as const, folder: id }
    const handle = await StoreHandle.adopt(options, living)
    this.#host.adopt({ id, first, last }, handle, taken)
  }

  async #tell(): Promise<void> {
    const untold = [...this.#untold]
    if (untold.length === 0) return
    const { control } = this.#host
    await control.transact((state) =>
      untold.reduce((now, { parents, children }) => replaced(now, parents, children), state),
    )
    this.#untold = this.#untold.filter((each) => !untold.includes(each))
  }
}

function livingOf({ logId, first, last }: Child): LivingLog {
  return { id: toHex(logId), first, last }
}
