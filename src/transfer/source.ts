/** The version that is taken out of a store, with its segments as they are read from there. */
import { invalid, isExpired, type TidemarkError } from '../errors.js'
import type { SegmentRef } from '../manifest/manifest.js'
import { damageOf } from '../segment/damage.js'
import { checkWhole } from '../segment/whole.js'
import type { ShardContext } from '../engine/context.js'
import { expired, readEntry, stateOf } from '../engine/history/past.js'
import { pinsOf } from '../engine/history/pins.js'
import { Reading } from '../engine/history/reading-pin.js'
import { factsOfPin, isThinned, type VersionFacts } from '../engine/history/thinned.js'
import type { Shard } from '../engine/shard.js'
import { segmentsOf, type ShardState } from '../engine/state.js'
import { findVersion, type Found, type When } from '../store/find.js'
import type { StorePlace } from '../tools/place.js'
import { contextOf, openWhole, type TransferOptions } from './options.js'

/** How often the newest version may be collected before it can be pinned. */
const TRIES = 8

export class Source {
  #found: Found
  #reading: Reading

  private constructor(
    readonly ctx: ShardContext,
    readonly shard: Shard,
    found: Found,
    readonly label: string | undefined,
    /** JSON text. */
    readonly meta: string | undefined,
    readonly signal: AbortSignal | undefined,
    reading: Reading,
  ) {
    this.#found = found
    this.#reading = reading
  }

  static async open(place: StorePlace, at: When | undefined, { signal, clock }: TransferOptions): Promise<Source> {
    const ctx = contextOf(place, clock)
    const shard = await openWhole(ctx, signal)
    try {
      for (let tries = TRIES; ; tries--) {
        let failure: unknown
        try {
          const found = await find(shard, at)
          if (found.parts) throw ofShards(ctx.store)
          const { label, meta } = await describe(shard, found)
          const reading = new Reading(ctx, shard.log, found.state, found.from)
          if (await reading.begin(shard.state)) return new Source(ctx, shard, found, label, meta, signal, reading)
          failure = expired(ctx.store, found.state.carried.version)
        } catch (error) {
          failure = error
        }
        // Another version may be the newest by now, so it is looked for again.
        if (!isExpired(failure) || at !== undefined || tries === 1) throw failure
        await shard.refresh()
      }
    } catch (error) {
      await shard.close()
      throw error
    }
  }

  get state(): ShardState {
    return this.#found.state
  }

  /** Whether the version was taken from a pin, as the log no longer has it. */
  get isPinned(): boolean {
    return this.#found.from !== undefined
  }

  get version(): number {
    return this.state.carried.version
  }

  /**
   * Runs what reads the state. When that meets damage in it, the state becomes an equal one without what is damaged, and all is
   * run again.
   */
  async repairing<T>(run: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await run()
      } catch (error) {
        const name = damageOf(error)?.place.name
        if (!segmentsOf(this.state).some((segment) => segment.name === name)) throw error
        await this.#repair(error)
      }
    }
  }

  async #repair(error: unknown): Promise<void> {
    const { ctx, shard } = this
    const { from } = this.#found
    const state = await shard.detector.repair(this.state, error)
    // The equal state stands on other segments, which have to stay as well.
    const reading = new Reading(ctx, shard.log, state, from)
    if (!(await reading.begin(shard.state))) throw expired(ctx.store, this.version)
    await this.#reading.end()
    this.#reading = reading
    this.#found = { state, from }
  }

  /** The bytes of a segment, checked against the manifest. */
  async read(segment: SegmentRef): Promise<Uint8Array> {
    await this.#reading.use()
    const { bytes } = await this.ctx.storage.blobs.get(segment.name, { signal: this.signal })
    if (bytes === undefined && (await this.#isGone())) throw expired(this.ctx.store, this.version)
    return checkWhole(this.ctx.cache.platform, bytes, segment)
  }

  /** Whether the version was collected after it was found. */
  async #isGone(): Promise<boolean> {
    const { from } = this.#found
    if (from) return !(await pinsOf(this.shard)).some(({ blob }) => blob === from.blob)
    await this.shard.refresh()
    return this.shard.state.carried.keeps > this.version
  }

  async close(): Promise<void> {
    await this.#reading.end()
    await this.shard.close()
  }
}

function ofShards(store: string): TidemarkError {
  return invalid(
    `This version of store "${store}" is from before its shards were split and merged, and can't be copied as yet. Restore it first, and copy the version that this makes.`,
  )
}

/** The newest version unless another one is wanted. Opening has read it. */
async function find(shard: Shard, at: When | undefined): Promise<Found> {
  const { version } = shard.state.carried
  if (at !== undefined || version === 0) return findVersion(shard, at ?? version)
  return { state: await stateOf(shard, version), from: undefined }
}

/** Reads label and meta from the entry of the version. A tag may outlive that entry. */
async function describe(shard: Shard, { state, from }: Found): Promise<Partial<Pick<VersionFacts, 'label' | 'meta'>>> {
  if (from && isThinned(from)) return factsOfPin(from, from.blob)
  try {
    return (await readEntry(shard.context, shard.log, state.carried.version)).entry
  } catch (error) {
    if (from && isExpired(error)) return {}
    throw error
  }
}
