/**
 * Watches: what each new version changed, told to listeners in order. A version's changes are the difference of two states;
 * where its entry is at hand, only the keys that it names are compared. Nothing is done while nobody watches.
 */
import { compareBytes, equalBytes } from '../../bytes/compare.js'
import type { Key } from '../../bytes/keys.js'
import { isExpired, isTidemarkError } from '../../errors.js'
import { changeOf, Comparison } from '../../engine/history/diff.js'
import { longerTail, statesOf, type ShardState, type TailEntry } from '../../engine/state.js'
import { FIRST_PAUSE_MS, LONGEST_PAUSE_MS, readRepaired, type Observed } from './observed.js'
import type { Observer, Place } from './observer.js'
import { slotRange, type KeyBounds } from '../bounds.js'
import { type RangeOptions } from '../range.js'
import type { Hold } from '../table-host.js'

/** A change that a version made, as a watch tells it. */
export interface WatchChange<K = Key, V = unknown> {
  /** The key that changed. */
  readonly key: K
  /** The value before the version; left out when there was none. */
  readonly before?: V
  /** The value in the version; left out when the key is gone. */
  readonly after?: V
  /** The version that changed it. */
  readonly version: number
}

/** The listener of a watch. A promise that it returns is waited for. */
export type WatchListener<K = Key, V = unknown> = (changes: readonly WatchChange<K, V>[]) => unknown

/** Options of `watch`: a range of keys, or one key. */
export interface WatchOptions<K = Key> extends RangeOptions<K> {
  /**
   * Only this key; there is no range then.
   * @default none: all keys of the range
   * @when Set it to follow a single value.
   */
  readonly key?: K | undefined
  /**
   * The name of another table of the store.
   * @default this one
   * @when Set it for a table with a name.
   */
  readonly table?: string | undefined
}

/** The range that one watch looks at, and who is told of it. */
export interface Watched {
  readonly place: Place
  readonly bounds: KeyBounds
  readonly listener: WatchListener
  /** Everything up to it has been told. */
  readonly told: ShardState
}

/** One version: the states before and after it, and its entry when it is at hand. */
type Step = { readonly before: ShardState; readonly after: ShardState; readonly entry: TailEntry | undefined }

export class Watch implements Observer {
  readonly #handle: Observed
  readonly #watched: Watched
  /** Everything up to it has been told. */
  #told: ShardState
  #queue: ShardState[] = []
  /** They hold what has been told, and the queue: empty while nothing is left to be told. */
  #holds: Hold[] = []
  #pause = FIRST_PAUSE_MS
  #cancel: () => void = () => undefined
  /** A state that could not be read for want of a codec. */
  #refused: ShardState | undefined
  #running = false
  #stopped = false

  constructor(handle: Observed, watched: Watched) {
    this.#handle = handle
    this.#watched = watched
    this.#told = watched.told
  }

  push(state: ShardState): void {
    this.#cancel()
    this.#refused = undefined
    if (this.#holds.length === 0) this.#hold(this.#told)
    this.#hold(state)
    this.#queue.push(state)
    if (!this.#running) void this.#run()
  }

  #hold(state: ShardState): void {
    this.#holds.push(this.#handle.hold(state))
  }

  #release(count = this.#holds.length): void {
    for (const hold of this.#holds.splice(0, count)) hold.release()
  }

  /** Reads at once what was refused for its codec. */
  retry(): void {
    if (this.#refused !== undefined) this.push(this.#refused)
  }

  stop(): void {
    this.#stopped = true
    this.#refused = undefined
    this.#cancel()
    this.#queue = []
    this.#release()
  }

  async #run(): Promise<void> {
    this.#running = true
    // Listeners are never called from within the store's own work.
    await Promise.resolve()
    for (let state = this.#queue.shift(); state !== undefined; state = this.#queue.shift()) {
      try {
        for (const step of stepsBetween(this.#told, state)) {
          for (const hold of this.#holds) hold.use()
          const changes = await this.#changes(step)
          if (this.#stopped) return
          this.#told = step.after
          if (changes.length > 0) await this.#tell(changes)
        }
        this.#reached(state)
      } catch (cause) {
        if (this.#stopped) return
        if (isExpired(cause)) {
          this.#handle.report(
            `What changed before version ${state.carried.version} is no longer kept, and was not told: a watch was too slow, or away for too long. It goes on from there.`,
            cause,
          )
          this.#reached(state)
          continue
        }
        this.#handle.report(
          `What version ${state.carried.version} changed could not be read; a watch tries again later.`,
          cause,
        )
        // Its changes are told with those of the next one.
        const hold = this.#handle.hold(this.#told)
        this.#release(2)
        this.#holds.unshift(hold)
        if (this.#queue.length > 0) continue
        if (isTidemarkError(cause) && cause.code === 'INVALID_ARGUMENT') this.#refused = state
        this.#again(state)
      }
    }
    this.#running = false
  }

  #reached(state: ShardState): void {
    this.#told = state
    this.#pause = FIRST_PAUSE_MS
    this.#release(this.#queue.length === 0 ? undefined : 1)
  }

  /** Reads once more what could not be read, unless a newer state does. */
  #again(state: ShardState): void {
    this.#cancel = this.#handle.options.clock.timer(
      this.#pause,
      () => {
        if (!this.#stopped && this.#queue.length === 0) this.push(state)
      },
      { background: true },
    )
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS)
  }

  async #tell(changes: readonly WatchChange[]): Promise<void> {
    try {
      await this.#watched.listener(changes)
    } catch (cause) {
      this.#handle.report('A listener of a watch threw.', cause)
    }
  }

  #changes({ before, after, entry }: Step): Promise<WatchChange[]> {
    return readRepaired(this.#handle, [before, after], (was, is) => this.#compare({ before: was!, after: is!, entry }))
  }

  async #compare({ before, after, entry }: Step): Promise<WatchChange[]> {
    const { version, versionTime } = after.carried
    const { place, bounds } = this.#watched
    const { decode } = this.#handle.specs.forReading(place.name, place.bytes, after)
    const comparison = new Comparison(before, after, this.#handle.cache, { entry })
    const found: (readonly [key: Uint8Array, change: WatchChange])[] = []
    for (const slot of place.slots) {
      for await (const batch of comparison.within(slot, slotRange(slot, bounds))) {
        for (const difference of batch) {
          const change = changeOf(difference, slot, [versionTime, versionTime], decode)
          if (change) found.push([difference.key.subarray(slot.prefix.length), { ...change, version }])
        }
      }
    }
    return found.sort(([a], [b]) => compareBytes(a, b)).map(([, change]) => change)
  }
}

/** The versions from one state to a later one; of several shards, one after another as long as they are the same shards. */
function* stepsBetween(from: ShardState, to: ShardState): Generator<Step, void> {
  const { of } = to
  const [was, is] = [statesOf(from), statesOf(to)]
  const isSame = was.length === is.length && is.every(({ logId }, at) => equalBytes(logId, was[at]!.logId))
  if (of === undefined || !isSame) return yield* stepsIn(from, to)
  for (const [at, state] of is.entries()) {
    for (const { before, after, entry } of stepsIn(was[at]!, state))
      yield { before: of.only(at, before), after: of.only(at, after), entry }
  }
}

/**
 * The versions of one log, one by one as long as the later state still has their entries apart and no reset lies between (R12).
 */
function* stepsIn(from: ShardState, to: ShardState): Generator<Step, void> {
  const isOther = !equalBytes(from.logId, to.logId)
  if (from.carried.version === to.carried.version && !isOther) return
  const isWhole = !isOther && to.manifest.covers <= from.head && (to.resetAt ?? 0) <= from.head
  if (!isWhole) return yield { before: from, after: to, entry: undefined }
  const changing = to.tail.filter(({ n, memtable, references }) => n > from.head && (memtable ?? references))
  // Each state goes on from the layers of the one before: a step costs what its entry does, however long the tail is.
  let tail = from.manifest === to.manifest ? from.tail : to.tail.filter(({ n }) => n <= from.head)
  let before = from
  for (const entry of changing) {
    const { n } = entry
    let after = to
    if (n < to.carried.version) {
      tail = longerTail(tail, entry)
      after = { ...to, head: n, carried: { ...to.carried, version: n, versionTime: entry.time }, tail }
    }
    yield { before, after, entry }
    before = after
  }
}
