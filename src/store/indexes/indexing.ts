/** Keeps the indexes of a handle's tables: what an entry means for them, and building those that are not there yet. */
import type { Memtable } from '../../engine/memtable.js'
import type { Derived } from '../../engine/write/requests.js'
import { makeSlot, type Slot } from '../../engine/slot.js'
import { recordedCodec, type ShardState } from '../../engine/state.js'
import type { Clock } from '../../clock.js'
import type { SegmentCache } from '../../segment/cache.js'
import type { Specs } from '../specs.js'
import type { TableSpec } from '../table-spec.js'
import { Unbuildable, type Built } from './built.js'
import { Derivation, isRefusal, type Context } from './derive.js'

/** How long to work before other tasks get their turn, in milliseconds. */
const SLICE_MS = 3

/** The handle whose tables they are of. */
export interface Indexed {
  readonly cache: SegmentCache
  readonly partitions: number
  readonly specs: Specs
  readonly options: { readonly clock: Clock }
  readonly shard: {
    readonly writer: {
      index(make: (state: ShardState, time: number) => Promise<Memtable | undefined>): Promise<void>
    }
    readonly detector: { repair(state: ShardState, error: unknown): Promise<ShardState> }
  }
  readonly events: {
    emit(event: 'index', detail: { readonly table: string; readonly rows: number; readonly done: boolean }): void
  }
  report(message: string, cause: unknown): void
}

function contextOf(handle: Indexed): Context {
  const { clock } = handle.options
  let sliceEnd = clock.monotonic() + SLICE_MS
  return {
    cache: handle.cache,
    partitions: handle.partitions,
    spec: (table) => handle.specs.of(table),
    pace: () => {
      if (clock.monotonic() < sliceEnd) return undefined
      return clock.pause().then(() => void (sliceEnd = clock.monotonic() + SLICE_MS))
    },
  }
}

/** What commits, in their order, mean for the indexes when their entry follows `state`. */
export async function derive(
  handle: Indexed,
  state: ShardState,
  commits: readonly Memtable[],
  time: number,
): Promise<Derived> {
  const slots = new Map<string, Slot>()
  for (const { slots: changed } of commits) for (const [id, { slot }] of changed) slots.set(id, slot)
  return repeated(handle, state, async (present) => {
    const derivation = new Derivation(contextOf(handle), present, time)
    const isReadyNow = await derivation.prepare(slots.values())
    tell(handle, derivation.built)
    if (!isReadyNow) return { first: derivation.made }
    for (const [at, changes] of commits.entries()) {
      try {
        await derivation.add(changes)
      } catch (error) {
        if (!isRefusal(error)) throw error
        return { refused: { at, error } }
      }
    }
    return { over: derivation.made }
  })
}

/** Builds the indexes of a table that is not changed just now, entry by entry. */
export async function build(handle: Indexed, spec: TableSpec): Promise<void> {
  const isNeeded = (state: ShardState): boolean => recordedCodec(state, spec.bytes) !== undefined
  const slots = Array.from({ length: handle.partitions }, (_, i) => makeSlot(i, spec.bytes))
  for (let isDone = false; !isDone;) {
    await handle.shard.writer.index(async (state, time) => {
      isDone = true
      if (!isNeeded(state) || handle.specs.of(spec.bytes) !== spec || spec.indexes.size === 0) return undefined
      return repeated(handle, state, async (present) => {
        const derivation = new Derivation(contextOf(handle), present, time)
        isDone = await derivation.prepare(slots)
        tell(handle, derivation.built)
        return derivation.made.empty ? undefined : derivation.made
      })
    })
  }
}

/** Repeats what meets damage on a repaired state, and what an index stands in the way of without that. */
async function repeated<T>(handle: Indexed, state: ShardState, act: (state: ShardState) => Promise<T>): Promise<T> {
  for (let present = state; ;) {
    try {
      return await act(present)
    } catch (error) {
      if (!(error instanceof Unbuildable)) {
        present = await handle.shard.detector.repair(present, error)
        continue
      }
      const { spec, reason } = error
      handle.specs.giveUp(spec, reason)
      handle.report(
        `The indexes of ${spec.title} cannot be built, and are not kept until that is mended and the table opened again. ${reason.message}`,
        reason,
      )
    }
  }
}

function tell(handle: Indexed, built: readonly Built[]): void {
  for (const { spec, rows, isDone, repeated } of built) {
    if (rows > 0) handle.events.emit('index', { table: spec.name, rows, done: isDone })
    if (repeated) {
      const advice = 'Both stay as they are; change one of them. No other row gets a key that one has.'
      handle.report(`Rows of ${spec.title} were there before its index. ${repeated.message} ${advice}`, repeated)
    }
  }
}
