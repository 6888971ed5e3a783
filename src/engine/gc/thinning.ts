/**
 * Thinning: of the versions that the log is about to let go of, those that stay as the newest of their hour or day get a pin
 * (src/engine/history/thinned.ts). It is there before the entry is planned that condemns what they need, so that a crash in
 * between loses nothing and leaves a pin at most, which later collections delete in its time.
 */
import { isDamage, isExpired, isFull, isTidemarkError, throwIfAborted } from '../../errors.js'
import { readEntry, stateOf, type RepairedLog } from '../history/past.js'
import type { StoredPin } from '../history/pins.js'
import { putPin } from '../history/pin-version.js'
import { encodeFacts, factsOf, isThinned, THINNED } from '../history/thinned.js'
import { segmentsOf, type ShardState } from '../state.js'
import type { IndexedEntry } from './entry-index.js'
import { newestOfEach } from './retention.js'

/** The most pins that one collection makes. */
const AT_ONCE = 16

export interface ThinOptions {
  /** Whether to go on. */
  readonly inTime: () => boolean
  /** Only looks. */
  readonly dryRun: boolean
}

export class Thinning {
  readonly #shard: RepairedLog
  readonly #signal: AbortSignal
  /**
   * Versions that this handle has pinned and the log has not let go of. The pins of others do not count for these: one that came
   * too late is deleted again by whoever made it, and nobody else can tell (R35).
   */
  readonly #pinned = new Set<number>()

  constructor(shard: RepairedLog, signal: AbortSignal) {
    this.#shard = shard
    this.#signal = signal
  }

  /** The versions that are the newest of their hour or day, as far as that is kept. */
  wanted(entries: readonly IndexedEntry[], pins: readonly StoredPin[], { carried }: ShardState): ReadonlySet<number> {
    const logged = entries.filter(({ isVersion, n }) => isVersion && n >= carried.keeps)
    const versions = [
      ...logged.map((entry) => ({ n: entry.n, time: entry.carried!.time })),
      ...pins.filter(isThinned).map(({ version, versionTime }) => ({ n: version, time: versionTime })),
    ]
    return newestOfEach(
      versions.sort((a, b) => a.n - b.n),
      this.#shard.context.retain,
    )
  }

  /**
   * Pins these versions, which are about to leave the log, oldest first, and adds to `held` what they need. Resolves with the first one that has to
   * stay because it was not its turn; `undefined` when others have collected meanwhile.
   */
  async keep(
    leaving: readonly number[],
    held: Set<string>,
    { inTime, dryRun }: ThinOptions,
  ): Promise<number | undefined> {
    let left = AT_ONCE
    for (const n of leaving) {
      throwIfAborted(this.#signal)
      if (this.#pinned.has(n)) continue
      // One at least, so that it goes on from call to call.
      if (left === 0 || (left < AT_ONCE && !inTime())) return n
      left--
      try {
        const state = await stateOf(this.#shard, n)
        for (const { name } of segmentsOf(state)) held.add(name)
        if (!dryRun) await this.#pin(state)
      } catch (error) {
        if (isExpired(error) || (isTidemarkError(error) && error.code === 'CONFLICT')) return undefined
        if (!isDamage(error) && !isFull(error)) throw error
        const { store, warn } = this.#shard.context
        const why = isFull(error) ? 'There was no room' : 'It was not possible'
        warn(
          `${why} to keep version ${n} of store "${store}" as the newest of its hour or day. ${error.message}`,
          error,
        )
      }
    }
    return Infinity
  }

  async #pin(state: ShardState): Promise<void> {
    const { context, log } = this.#shard
    const { version } = state.carried
    const label = encodeFacts(factsOf(await readEntry(context, log, version))!)
    const most = context.segments.blockBytes
    await putPin(this.#shard, {
      kind: 'tag',
      name: THINNED,
      ttlMs: 0,
      label,
      state,
      from: undefined,
      most,
      signal: this.#signal,
    })
    this.#pinned.add(version)
  }

  /** The log has let go of all before `keeps`. */
  forget(keeps: number): void {
    for (const n of this.#pinned) if (n < keeps) this.#pinned.delete(n)
  }
}
