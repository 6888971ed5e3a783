/**
 * Watches: what each new version changed, told to listeners in order. A version's changes are the difference of two states;
 * where its entry is at hand, only the keys that it names are compared. Nothing is done while nobody watches.
 */
import { compareBytes, equalBytes } from '../bytes/compare.js'
import { decodeKey, type Key } from '../bytes/keys.js'
import type { Clock } from '../clock.js'
import { isExpired, isTidemarkError } from '../errors.js'
import type { SegmentCache } from '../segment/cache.js'
import { Comparison, liveAt, type AnyRecord } from '../engine/history/diff.js'
import { Point } from '../engine/memtable.js'
import { makeSlot, type Slot } from '../engine/slot.js'
import type { ShardState, TailEntry } from '../engine/state.js'
import { slotRange, type KeyBounds } from './range.js'
import type { Hold } from './holds.js'
import type { TableSpec } from './table-spec.js'

export interface WatchChange<K = Key, V = unknown> {
  readonly key: K
  /** Left out when there was nothing before. */
  readonly before?: V
  /** Left out when the key is gone. */
  readonly after?: V
  readonly version: number
}

export type WatchListener<K = Key, V = unknown> = (changes: readonly WatchChange<K, V>[]) => unknown

/** What a watch needs of the store. */
export interface WatchHost {
  readonly state: ShardState
  readonly cache: SegmentCache
  /** The table as it is to be read in a state; looking at it settles nothing. */
  look(name: string, bytes: Uint8Array, state: ShardState): TableSpec
  /** Keeps what a reader of the state needs. */
  hold(state: ShardState, waiting?: Promise<unknown>): Hold
  readonly options: { readonly clock: Clock }
  report(message: string, cause: unknown): void
  /** After a read that failed: equal states, repaired. Throws when that was not damage, or can't be repaired. */
  mendStates(states: readonly ShardState[], error: unknown): Promise<ShardState[]>
}

/** What one watch looks at. */
export interface Watched {
  readonly table: string
  readonly bytes: Uint8Array
  readonly bounds: KeyBounds
  readonly listener: WatchListener
  /** Everything up to it has been told. */
  readonly told: ShardState
}

/** One version: the states before and after it, and its entry when it is at hand. */
type Step = { readonly before: ShardState; readonly after: ShardState; readonly entry: TailEntry | undefined }

/** Before a read that failed is tried again. */
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000

export class Watch {
  readonly #host: WatchHost
  readonly #table: string
  readonly #bytes: Uint8Array
  readonly #slots: readonly Slot[]
  readonly #bounds: KeyBounds
  readonly #listener: WatchListener
  /** Everything up to it has been told. */
  #told: ShardState
  #queue: ShardState[] = []
  /** Of what has been told, and of the queue: empty while nothing is left to be told. */
  #holds: Hold[] = []
  #pause = FIRST_PAUSE_MS
  #cancel: () => void = () => undefined
  /** What could not be read for want of its codec. */
  #refused: ShardState | undefined
  #running = false
  #stopped = false

  constructor(host: WatchHost, { table, bytes, bounds, listener, told }: Watched) {
    this.#host = host
    this.#table = table
    this.#bytes = bytes
    this.#bounds = bounds
    this.#listener = listener
    this.#told = told
    const { partitions } = host.state.manifest.config
    this.#slots = Array.from({ length: partitions }, (_, i) => makeSlot(i, this.#bytes))
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
    this.#holds.push(this.#host.hold(state))
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
          this.#host.report(
            `What changed before version ${state.carried.version} is no longer kept, and was not told: a watch was too slow, or away for too long. It goes on from there.`,
            cause,
          )
          this.#reached(state)
          continue
        }
        this.#host.report(
          `What version ${state.carried.version} changed could not be read; a watch tries again later.`,
          cause,
        )
        // What it changed is told with the next one.
        const hold = this.#host.hold(this.#told)
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
    this.#cancel = this.#host.options.clock.timer(
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
      await this.#listener(changes)
    } catch (cause) {
      this.#host.report('A listener of a watch threw.', cause)
    }
  }

  async #changes(step: Step): Promise<WatchChange[]> {
    for (let [before, after] = [step.before, step.after]; ;) {
      try {
        const comparing = this.#compare({ before, after, entry: step.entry })
        this.#host.hold(before, comparing)
        this.#host.hold(after, comparing)
        return await comparing
      } catch (error) {
        ;[before, after] = (await this.#host.mendStates([before, after], error)) as [ShardState, ShardState]
      }
    }
  }

  async #compare({ before, after, entry }: Step): Promise<WatchChange[]> {
    const { version, versionTime } = after.carried
    const { decode } = this.#host.look(this.#table, this.#bytes, after)
    const comparison = new Comparison(before, after, this.#host.cache, { entry })
    const found: (readonly [key: Uint8Array, change: WatchChange])[] = []
    for (const slot of this.#slots) {
      for await (const batch of comparison.within(slot, slotRange(slot, this.#bounds))) {
        for (const { key, before: was, after: is } of batch) {
          const own = key.subarray(slot.prefix.length)
          const change = changeOf(own, liveAt(was, versionTime), liveAt(is, versionTime), version, decode)
          if (change !== undefined) found.push([own, change])
        }
      }
    }
    return found.sort(([a], [b]) => compareBytes(a, b)).map(([, change]) => change)
  }
}

function changeOf(
  key: Uint8Array,
  before: AnyRecord | undefined,
  after: AnyRecord | undefined,
  version: number,
  decode: (bytes: Uint8Array) => unknown,
): WatchChange | undefined {
  if (before === undefined && after === undefined) return undefined
  if (before?.bytes && after?.bytes && equalBytes(before.bytes, after.bytes)) return undefined
  const value = (record: AnyRecord): unknown => (record instanceof Point ? record.value(decode) : decode(record.bytes!))
  return {
    key: decodeKey(key),
    ...(before && { before: value(before) }),
    ...(after && { after: value(after) }),
    version,
  }
}

/**
 * The versions from one state to a later one, one by one as long as the later one still has their entries apart and no reset
 * lies between (R12).
 */
function stepsBetween(from: ShardState, to: ShardState): Step[] {
  const isOther = !equalBytes(from.logId, to.logId)
  if (from.carried.version === to.carried.version && !isOther) return []
  const isWhole = !isOther && to.manifest.covers <= from.head && (to.resetAt ?? 0) <= from.head
  if (!isWhole) return [{ before: from, after: to, entry: undefined }]
  const changing = to.tail.filter(({ n, memtable, references }) => n > from.head && (memtable ?? references))
  const steps: Step[] = []
  let before = from
  for (const [i, entry] of changing.entries()) {
    const { n } = entry
    const carried = { ...to.carried, version: n, versionTime: entry.time }
    const isLast = i === changing.length - 1 && n === to.carried.version
    const after = isLast ? to : { ...to, head: n, carried, tail: to.tail.filter((other) => other.n <= n) }
    steps.push({ before, after, entry })
    before = after
  }
  return steps
}
