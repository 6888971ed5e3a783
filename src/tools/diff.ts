/** The difference between two versions of a store, key by key. */
import { compareBytes } from '../bytes/compare.js'
import type { Key } from '../bytes/keys.js'
import { checkFields, invalid, throwIfAborted } from '../errors.js'
import { changeOf, Comparison, type Difference } from '../engine/history/diff.js'
import { makeSlot, type Slot } from '../engine/slot.js'
import type { StoreHandle } from '../store/handle.js'
import { checkSignal } from '../store/options.js'
import type { When } from '../store/find.js'
import { findIn } from '../store/old-versions.js'
import { isEmptyRange, slotRange, type KeyBounds } from '../store/bounds.js'
import { keyBounds } from '../store/range.js'
import { handleOf } from '../store/handles.js'
import type { Store } from '../store/store.js'
import type { TableSpec } from '../store/table-spec.js'

/** Options of `diff`. */
export interface DiffOptions {
  /**
   * The name of the table to compare.
   * @default the default table
   * @when Set it for a table with a name.
   */
  readonly table?: string | undefined
  /**
   * Compares only keys with this prefix: strings or bytes that begin so, or arrays whose first elements are these.
   * @default all keys
   * @when Set it to compare one group of keys.
   */
  readonly prefix?: Key | undefined
  /**
   * Ends the comparison with `ABORTED`.
   * @default none
   * @when Set it when whoever reads may go away.
   */
  readonly signal?: AbortSignal | undefined
}

/** A key whose values differ. */
export interface DiffChange<K = Key, V = unknown> {
  /** The key. */
  readonly key: K
  /** The value in the first version; left out when there is none. */
  readonly before?: V
  /** The value in the second version; left out when there is none. */
  readonly after?: V
}

const OPTIONS = new Set(['table', 'prefix', 'signal'])

/**
 * Gives the keys whose values differ between two versions, in key order over all partitions. A key that was put through two
 * partitions counts in each. A value that had expired by the time of a version is not in it. Only segments and entries that
 * the two versions do not share are read.
 *
 * @param a the first version: its number, a tag, or a moment
 * @param b the second version
 * @throws `INVALID_ARGUMENT` when a version or an option is wrong
 * @throws `NOT_FOUND` when there is no such version or tag, `VERSION_EXPIRED` when the version is no longer kept, `ABORTED`;
 *   all of them while it is read
 * @example
 *     for await (const { key, before, after } of diff(store, 'monday', store.version)) console.log(key, before, after)
 */
export function diff<K extends Key = Key, V = unknown>(
  store: Store<K, V>,
  a: When,
  b: When,
  options: DiffOptions = {},
): AsyncGenerator<DiffChange<K, V>, void> {
  const handle = handleOf(store)
  checkFields('diff', options, OPTIONS)
  checkSignal(options.signal)
  for (const [name, when] of Object.entries({ a, b })) {
    if (when === undefined) throw invalid(`diff: ${name} is missing; a version, a tag or a Date is expected.`)
  }
  const bounds = keyBounds({ prefix: options.prefix })
  const spec = handle.spec(options.table ?? '', {})
  return differences(handle, [a, b], spec, bounds, { signal: options.signal }) as AsyncGenerator<DiffChange<K, V>, void>
}

/** How many keys are kept at most over all partitions, and how many in one at most and at least. */
const KEPT = 4096
const [MOST, FEWEST] = [64, 4]

/** Like `diff`, but of some partitions only if they are named. */
export async function* differences(
  handle: StoreHandle,
  [a, b]: readonly [When, When],
  spec: TableSpec,
  bounds: KeyBounds,
  {
    signal,
    partitions,
  }: { readonly signal?: AbortSignal | undefined; readonly partitions?: readonly number[] | undefined },
): AsyncGenerator<DiffChange, void> {
  throwIfAborted(signal)
  const finding = Promise.all([findIn(handle, a), findIn(handle, b)])
  handle.hold(handle.state, finding, handle.state.carried.trim)
  const [{ state: before }, { state: after }] = await finding
  if (isEmptyRange(bounds)) return
  const holds = [handle.hold(before), handle.hold(after)]
  const step = (): void => {
    throwIfAborted(signal)
    handle.assertOpen()
    for (const hold of holds) hold.use()
  }
  const pace = async (): Promise<void> => {
    step()
    // Comparing in memory never waits, so timers and the caller's other work are given a turn.
    await handle.options.clock.pause()
    throwIfAborted(signal)
  }
  const count = before.manifest.config.partitions
  const batch = Math.max(FEWEST, Math.min(MOST, Math.floor(KEPT / count)))
  const comparison = new Comparison(before, after, handle.cache, { expiring: true, batch })
  const times = [before.carried.versionTime, after.carried.versionTime] as const
  const streams = (partitions ?? Array.from({ length: count }, (_, i) => i)).map((i) => {
    const slot = makeSlot(i, spec.bytes)
    return new SlotStream(slot, comparison.within(slot, slotRange(slot, bounds)), pace)
  })
  try {
    await Promise.all(streams.map((stream) => stream.fill()))
    const queue = new StreamQueue(streams)
    for (let first = queue.first; first !== undefined; first = queue.first) {
      step()
      const change = changeOf(first.current!, first.slot, times, spec.decode)
      if (first.step()) await first.fill()
      queue.settle()
      if (change) yield change
    }
  } finally {
    for (const hold of holds) hold.release()
  }
}

/** The differences of one slot, one after another. */
class SlotStream {
  readonly #batches: AsyncGenerator<readonly Difference[], void>
  readonly #pace: () => Promise<void>
  #batch: readonly Difference[] = []
  #at = 0

  constructor(
    readonly slot: Slot,
    batches: AsyncGenerator<readonly Difference[], void>,
    pace: () => Promise<void>,
  ) {
    this.#batches = batches
    this.#pace = pace
  }

  get current(): Difference | undefined {
    return this.#batch[this.#at]
  }

  /** Goes to the next difference; true when the batch is at its end. */
  step(): boolean {
    return ++this.#at >= this.#batch.length
  }

  async fill(): Promise<void> {
    do {
      const { value, done } = await this.#batches.next()
      this.#batch = done === true ? [] : value
      this.#at = 0
      if (done === true) return
      await this.#pace()
    } while (this.#batch.length === 0)
  }
}

/** A heap of streams. The first one has the least key behind its slot's prefix, and of equal keys the lowest partition. */
class StreamQueue {
  readonly #heap: SlotStream[]

  constructor(streams: readonly SlotStream[]) {
    this.#heap = streams.filter(({ current }) => current !== undefined).sort(byKey)
  }

  get first(): SlotStream | undefined {
    return this.#heap[0]
  }

  /** Puts the first stream in its place, after it has moved. */
  settle(): void {
    const heap = this.#heap
    if (heap[0]?.current === undefined) {
      const last = heap.pop()
      if (heap.length === 0 || last === undefined) return
      heap[0] = last
    }
    for (let i = 0; ;) {
      let least = i
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < heap.length && byKey(heap[child]!, heap[least]!) < 0) least = child
      }
      if (least === i) return
      ;[heap[i], heap[least]] = [heap[least]!, heap[i]!]
      i = least
    }
  }
}

function byKey(a: SlotStream, b: SlotStream): number {
  const { length } = a.slot.prefix
  const order = compareBytes(a.current!.key.subarray(length), b.current!.key.subarray(length))
  return order === 0 ? a.slot.partition - b.slot.partition : order
}
