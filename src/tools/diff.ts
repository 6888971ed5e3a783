/** Tells the difference between two versions of a store, key by key. */
import { compareBytes } from '../bytes/compare.js'
import type { Key } from '../bytes/keys.js'
import { checkFields, invalid, throwIfAborted } from '../errors.js'
import { changeOf, Comparison, type Difference } from '../engine/history/diff.js'
import { makeSlot, type Slot } from '../engine/slot.js'
import type { StoreHandle } from '../store/handle.js'
import { checkSignal } from '../store/options.js'
import type { When } from '../store/find.js'
import { findIn } from '../store/old-versions.js'
import { isEmptyRange, keyBounds, slotRange, type KeyBounds } from '../store/range.js'
import { handleOf, type Store } from '../store/store.js'
import type { TableSpec } from '../store/table-spec.js'

export interface DiffOptions {
  /** Default: the default table. */
  readonly table?: string | undefined
  /** Strings or bytes that begin so, or arrays whose first elements are these. */
  readonly prefix?: Key | undefined
  readonly signal?: AbortSignal | undefined
}

export interface DiffChange<K = Key, V = unknown> {
  readonly key: K
  /** Left out when there was nothing in the first version. */
  readonly before?: V
  /** Left out when there is nothing in the second one. */
  readonly after?: V
}

const OPTIONS = new Set(['table', 'prefix', 'signal'])

/**
 * The keys whose values differ between two versions, in key order over all partitions; a key that was put through two
 * partitions counts in each. What had expired by the time of a version is not in it. Only what the two versions do not have
 * in common is read.
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

/** The most keys that are kept over all partitions, and the most and fewest in one. */
const KEPT = 4096
const [MOST, FEWEST] = [64, 4]

/** `diff`, of some partitions if they are named. */
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
    // Comparing in memory never waits, so that timers and the caller's other work need a turn.
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

/** The differences of one slot, one by one. */
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

  /** True when the batch is at its end. */
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

/** A heap of streams: the first has the least key behind its slot's prefix, of one key the lowest partition. */
class StreamQueue {
  readonly #heap: SlotStream[]

  constructor(streams: readonly SlotStream[]) {
    this.#heap = streams.filter(({ current }) => current !== undefined).sort(byKey)
  }

  get first(): SlotStream | undefined {
    return this.#heap[0]
  }

  /** After the first one has moved. */
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
