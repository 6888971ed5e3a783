/** The world in which shards are split and merged: its storage, and the lines over which actors reach it. */
import type { Storage } from 'tidemark'
import type { Actor, Simulation } from 'tidemark/testing'
import { sleep, type Clock } from '../../src/clock.js'
import type { ShardContext } from '../../src/engine/context.js'
import { rescaleLogs } from '../../src/engine/shards/rescale.js'
import { intercept, type Call } from '../../src/storage/intercept.js'
import type { Run } from '../../src/storage/turns.js'
import { StoreHandle } from '../../src/store/handle.js'
import { resolveOptions, type ResolvedOptions } from '../../src/store/open-options.js'
import { Store } from '../../src/store/store.js'
import { contextOf } from '../../src/transfer/options.js'
import { ALL, PARTITIONS, positionOf, SOURCE, type EventsTruth } from './rescaled-events-truth.js'

export const GRACE = 3_000
export const NAME = 'sim'
export const EVENTS = 24

export interface EventsWorld {
  readonly sim: Simulation
  readonly mode: 'exclusive' | 'shared'
  readonly truth: EventsTruth
  readonly storage: Storage
  /** The storage's answer when there is nothing. */
  readonly absent: () => unknown
}

/** Where an actor is held up or ends, and how probably besides. */
const DANGEROUS = ['append', 'claim', 'claim', 'claim', 'read', 'swap', 'swap', 'put', 'delete', 'remove'] as const
const BESIDES = 0.004

/** The world's storage over the actor's line, which is held up at what it calls, and now and then ends there. */
export function lineOf(me: Actor, { sim, storage, truth, absent }: EventsWorld): Storage {
  const { random } = sim
  const method = DANGEROUS[random.below(DANGEROUS.length)]
  let left = 1 + random.below(8)
  const hold = (): void =>
    sim.stall(me, random.next() * GRACE * (random.chance(0.4) ? 0.5 : 4), random.chance(0.5) ? 'stops' : 'runs')
  return intercept(me.storage(storage), async <T>(call: Call, run: Run<T>) => {
    const { target, path, n = 0, signal } = call
    // Entries are read many ahead; of those that can't be there yet the answer may as well come at once.
    if (target === 'log' && call.method === 'read' && n > truth.headOf(path) + 1) return absent() as T
    const isIt = call.method === method && --left === 0
    if (isIt && random.chance(0.25)) {
      sim.crash(me)
      return new Promise<never>(() => undefined)
    }
    const isHeld = (isIt && random.chance(0.7)) || random.chance(BESIDES)
    const isBefore = random.chance(0.7)
    if (isHeld && isBefore) {
      hold()
      await sleep(me.clock, 0)
    }
    const answer = run(signal)
    if (isHeld && !isBefore) hold()
    return answer
  })
}

const SETTINGS = {
  name: NAME,
  graceMs: GRACE,
  timeoutMs: GRACE,
  retain: { versions: 1 },
  checkpoint: { entries: 3, bytes: 1_000 },
  segmentBytes: 500,
  blockBytes: 100,
  bloomBits: 0,
  deflateLevel: 0,
} as const

export interface Opening {
  readonly mode: 'exclusive' | 'shared' | 'follower'
  readonly shard?: number
}

export function optionsOf(storage: Storage, clock: Clock, opening: Opening): ResolvedOptions {
  // What is warned of is no failure.
  const logger = { warn: () => undefined }
  return resolveOptions({ ...SETTINGS, ...opening, partitions: PARTITIONS, storage, clock, logger } as never)
}

/** A handle, and the store over it. */
export interface Opened {
  readonly handle: StoreHandle
  readonly store: Store<string>
}

export async function openWith(storage: Storage, clock: Clock, opening: Opening): Promise<Opened> {
  const options = optionsOf(storage, clock, opening)
  return over(await StoreHandle.open(options), options)
}

export function over(handle: StoreHandle, options: ResolvedOptions): Opened {
  return { handle, store: new Store<string>(handle, handle.spec('', options.table)) }
}

/** The surroundings of who splits and merges from outside. */
function outside(storage: Storage, clock: Clock): ShardContext {
  return contextOf({ ...SETTINGS, storage } as never, clock)
}

export function rescaleTo(storage: Storage, clock: Clock, cuts: readonly number[]): ReturnType<typeof rescaleLogs> {
  return rescaleLogs(outside(storage, clock), () => cuts)
}

/** The partitions of a handle. */
export function partitionsOf({ handle }: Opened): readonly number[] {
  const { first, last } = handle.own ?? { first: 0, last: PARTITIONS - 1 }
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

/** The events that a partition holds. */
export async function valueIn(of: Pick<Store<string>, 'partition'>, partition: number): Promise<string> {
  return ((await of.partition(partition).get(ALL)) as string | undefined) ?? ''
}

/** Throws unless the store holds what its newest entry has left. */
export async function compare(opened: Opened, truth: EventsTruth, what: string): Promise<void> {
  const { head, logId } = opened.handle.state
  const snapshot = await opened.store.snapshot()
  try {
    for (const p of partitionsOf(opened)) {
      const found = await valueIn(snapshot, p)
      const expected = truth.valueAt(logId, head, p)
      if (found !== expected) throw new Error(`${what}: partition ${p} holds "${found}", it should be "${expected}"`)
    }
  } finally {
    await snapshot.close()
  }
}

/**
 * Puts the next events into the buffer, as a run does: those of partitions that stand where the source is read. Resolves with how far
 * each partition has come then.
 */
export async function takeEvents(
  opened: Opened,
  truth: EventsTruth,
  most: number,
): Promise<ReadonlyMap<number, number>> {
  const { handle, store } = opened
  const positions = new Map(partitionsOf(opened).map((p) => [p, positionOf(handle.state.carried, p)]))
  const values = new Map<number, string>()
  for (let taken = 0; taken < most; taken++) {
    const at = Math.min(...positions.values())
    if (at >= truth.events.length) break
    const of = truth.events[at]!
    if (positions.get(of) === at) {
      const before = values.get(of) ?? (await valueIn(store, of))
      values.set(of, `${before},${at}`)
    }
    for (const [p, position] of positions) if (position === at) positions.set(p, at + 1)
  }
  for (const [p, value] of values) store.partition(p).put(ALL, value)
  return positions
}

/** Commits what `takeEvents` has put, as `op`. */
export async function commitEvents(
  { handle }: Opened,
  truth: EventsTruth,
  positions: ReadonlyMap<number, number>,
  op: string,
): Promise<void> {
  const spans = [...positions].map(([p, at]) => ({ first: p, last: p, positions: new Map([[undefined, at]]) }))
  const lowest = Math.min(...positions.values())
  const { logId } = handle.state
  const isDifferent = handle.state.carried.spans.has(SOURCE)
  const { version } = await handle.changes.commitBuffer({
    offsets: new Map([[SOURCE, new Map([[undefined, lowest]])]]),
    moved: isDifferent ? new Map([[SOURCE, { isAligned: false, spans }]]) : undefined,
    force: false,
    label: op,
    meta: undefined,
  })
  truth.acknowledge(op, logId, version)
}
