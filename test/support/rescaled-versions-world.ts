/** The world in which shards are split, merged, collected, tagged and put back, and how it is judged. */
import { isTidemarkError, type systemClock, type Storage } from 'tidemark'
import type { Actor, Simulation } from 'tidemark/testing'
import { jsonCodec } from '../../src/bytes/codec.js'
import { fromHex } from '../../src/bytes/hex.js'
import { decodeKey } from '../../src/bytes/keys.js'
import type { Clock } from '../../src/clock.js'
import { closeLog, openAnchor, openLog, type LogContext, type ShardContext } from '../../src/engine/context.js'
import { stateAt } from '../../src/engine/history/past.js'
import { listPins, stateOfPin } from '../../src/engine/history/pins.js'
import { viewOf } from '../../src/engine/read.js'
import { scan } from '../../src/engine/scan.js'
import { lookAt, rangeOf } from '../../src/engine/shards/end.js'
import { leaves, making } from '../../src/engine/shards/family.js'
import { makeSlot, prefixed, tableBytes } from '../../src/engine/slot.js'
import type { ShardState } from '../../src/engine/state.js'
import { SegmentCache } from '../../src/segment/cache.js'
import { shardContext } from '../../src/store/context.js'
import { StoreHandle } from '../../src/store/handle.js'
import { resolveOptions, type ResolvedOptions } from '../../src/store/open-options.js'
import { partitionOf } from '../../src/store/reads.js'
import { Store } from '../../src/store/store.js'
import { GRACE, lineOf, type World } from './collecting-world.js'
import { PARTITIONS, type Contents, type VersionsTruth } from './rescaled-versions-truth.js'

export const NAME = 'sim'

export interface VersionsWorld {
  readonly sim: Simulation
  readonly truth: VersionsTruth
  readonly storage: Storage
  readonly hasTime: boolean
  readonly retain: number
  readonly absent: () => unknown
  /** Tags that were made, by the log and the version: their blobs. */
  readonly tags: Map<string, { readonly key: string; readonly n: number }>
}

/** Two keys of each partition. */
export const KEYS: readonly (readonly string[])[] = Array.from({ length: PARTITIONS }, (_, partition) =>
  Array.from({ length: 200 }, (_, i) => `k${i}`)
    .filter((key) => partitionOf(key, PARTITIONS) === partition)
    .slice(0, 2),
)

/** So small that a few commits fold, merge and let versions go. */
export const tiny = (retain: number): object => ({
  graceMs: GRACE,
  retain: { versions: retain },
  checkpoint: { entries: 3, bytes: 1_000 },
  segmentBytes: 500,
  blockBytes: 100,
  bloomBits: 0,
  deflateLevel: 0,
})

function optionsOf(world: VersionsWorld, storage: Storage, clock: Clock, more: object = {}): ResolvedOptions {
  return resolveOptions({
    storage,
    name: NAME,
    clock,
    partitions: PARTITIONS,
    mode: 'exclusive',
    timeoutMs: GRACE,
    logger: false,
    ...tiny(world.retain),
    ...more,
  } as Parameters<typeof resolveOptions>[0])
}

export async function openShardOf(
  world: VersionsWorld,
  storage: Storage,
  clock: Clock,
  more: object = {},
): Promise<Store<string>> {
  const options = optionsOf(world, storage, clock, more)
  const handle = await StoreHandle.open(options)
  return new Store<string>(handle, handle.spec('', options.table))
}

export function contextIn(world: VersionsWorld, storage: Storage, clock: Clock): ShardContext {
  const nothing = (): void => undefined
  const events = { warn: nothing, moved: nothing, committed: nothing, emit: nothing }
  return shardContext(optionsOf(world, storage, clock), storage, events)
}

/** The storage over the line of an actor, which is held up now and then, where it matters. */
export function lineIn(me: Actor, world: VersionsWorld): Storage {
  const known = { ...world, isDuel: false, truth: { headOf: () => Number.MAX_SAFE_INTEGER } }
  return lineOf(me, known as unknown as World)
}

const PASSING = new Set([
  'FENCED',
  'UNKNOWN_OUTCOME',
  'CONFLICT',
  'STORAGE_UNAVAILABLE',
  'VERSION_EXPIRED',
  'CLOSED',
  'ABORTED',
  'NOT_FOUND',
])

/** Throws errors on that must not happen. */
export function mayHappen(error: unknown, ...more: readonly string[]): string {
  if (!isTidemarkError(error) || !(PASSING.has(error.code) || more.includes(error.code))) throw error
  return error.code
}

/** All that a state says of some partitions. */
async function contentsOf(storage: Storage, state: ShardState, first: number, last: number): Promise<Contents> {
  const view = viewOf(state, [], new SegmentCache(storage, 1 << 20))
  const found = new Map<string, unknown>()
  for (let partition = first; partition <= last; partition++) {
    const slot = makeSlot(partition, tableBytes(''))
    const bounds = { lower: slot.prefix, upper: prefixed(slot.prefix, Uint8Array.of(0xff)), reverse: false }
    const cursor = await scan(view, slot, bounds)
    for (;;) {
      await cursor.next()
      if (cursor.current === undefined) break
      const { key, bytes } = cursor.current
      if (bytes) found.set(String(decodeKey(key.subarray(slot.prefix.length))), jsonCodec.decode(bytes))
    }
  }
  return found
}

/** Each log of the world as it is by now. */
async function eachLog(
  world: VersionsWorld,
  clock: Clock,
  act: (
    key: string,
    ctx: ShardContext,
    log: LogContext,
    kept: { keeps: number; head: number; isSealed: boolean },
  ) => Promise<void>,
): Promise<void> {
  for (const [key, { path, range }] of world.truth.logs) {
    const shard = path.split('/')[1] === '0' ? undefined : key
    const ctx = { ...contextIn(world, world.storage, clock), shard }
    const look = await lookAt(ctx, { first: range[0], last: range[1] })
    if (look === undefined) continue
    const head = look.seal ? look.n : look.state.head
    const keeps = look.seal ? (look.sealed?.keeps ?? look.state!.carried.keeps) : look.state.carried.keeps
    try {
      await act(key, ctx, look.log, { keeps, head, isSealed: look.seal !== undefined })
    } finally {
      await closeLog(ctx, look.log)
    }
  }
}

/** Nobody is there any more: every kept version and every tag is held against what happened. */
export async function judgeShards(world: VersionsWorld, clock: Clock): Promise<void> {
  const { truth, storage, tags } = world
  truth.check()
  await eachLog(world, clock, async (key, ctx, log, { keeps, head }) => {
    const { range, first } = truth.logs.get(key)!
    for (const n of truth.versionsOf(key)) {
      if (n < Math.max(keeps, first) || n > head) continue
      truth.compare(key, n, await contentsOf(storage, await stateAt(ctx, log, n), ...range), 'kept')
    }
  })
  for (const [blob, { key, n }] of tags) {
    const { path, range } = truth.logs.get(key)!
    const pin = (await listPins(storage, path)).find((each) => each.blob === blob)
    if (pin === undefined) throw new Error(`tag ${blob} is gone`)
    const log = openLog(contextIn(world, storage, clock), openAnchor({ storage, store: NAME }), fromHex(key))
    truth.compare(key, n, await contentsOf(storage, await stateOfPin(log.platform, pin, path), ...range), `tag ${blob}`)
  }
}

/** The objects of sealed logs that are left. */
async function leftOfSealed(world: VersionsWorld): Promise<string[]> {
  const left: string[] = []
  for (const { path, sealedAt } of world.truth.logs.values()) {
    if (sealedAt === undefined) continue
    left.push(...(await world.storage.blobs.list(`${path}/`)).items.map(({ name }) => name))
    if ((await world.storage.log(path).list(1)).numbers.length > 0) left.push(`${path}/log`)
  }
  return left
}

/** Faults have stopped: what was sealed goes, but for what tags need; and without these all of it. */
export async function finish(world: VersionsWorld, clock: typeof systemClock, late: { ms: number }): Promise<void> {
  const settle = async (): Promise<void> => {
    for (const leaf of (await leaves(contextIn(world, world.storage, clock), making)) ?? []) {
      await closeLog(leaf.context, leaf.log)
      const { first, last } = rangeOf(leaf.state!)
      const store = await openShardOf(world, world.storage, clock, { shard: first, force: true })
      for (const keys of KEYS.slice(first, last + 1)) for (const key of keys) store.put(key, `end ${late.ms}`)
      await store.commit()
      await store.maintain()
      await store.close()
    }
    late.ms += 2 * GRACE
  }
  for (let i = 0; i < 6; i++) await settle()
  await judgeShards(world, clock)
  await world.storage.blobs.delete([...world.tags.keys()])
  world.tags.clear()
  // Of a line of logs each waits for those that came of it.
  let left = await leftOfSealed(world)
  for (let i = 0; i < 30 && left.length > 0; i++) {
    await settle()
    left = await leftOfSealed(world)
  }
  if (left.length > 0) throw new Error(`of logs that were sealed is left: ${left.join(', ')}`)
}
