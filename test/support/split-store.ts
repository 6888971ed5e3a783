/** A store that was split by hand, and what is left of it. */
import type { Storage, Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { segmentsOf, type ShardState } from '../../src/engine/state.js'
import { readAnchor } from '../../src/log/anchor.js'
import { decodeSealedEnd, type SealedEnd } from '../../src/log/sealed-anchor.js'
import { intercept, type Call } from '../../src/storage/intercept.js'
import type { Run } from '../../src/storage/turns.js'
import { clockOf } from './rule-stores.js'
import { GRACE, SplitByHand, type Part, type Plan } from './split-by-hand.js'

const KEYS = Array.from({ length: 40 }, (_, i) => `k${i}`)

export async function fill(
  store: Store<string, number>,
  value: number,
  keys: readonly string[] = KEYS,
): Promise<number> {
  for (const key of keys) store.put(key, value)
  return (await store.commit()).version
}

export async function keysOf(store: Store<string, number>): Promise<string[]> {
  const keys: string[] = []
  for await (const key of store.keys()) keys.push(key)
  return keys
}

/** Lets go of all that a log has of its parents, and does nothing about these. */
export async function settle(hand: SplitByHand, part: Part, time: { ms: number }): Promise<void> {
  const own = `s/${part.folder}/anchor`
  const storage = intercept(hand.storage, async <T>(call: Call, run: Run<T>) => {
    if (call.method === 'swap' && call.path !== own) return { outcome: 'lost' } as T
    return run(call.signal)
  })
  const store = await hand.open(part, { storage })
  const keys = await keysOf(store)
  for (let i = 0; i < 4; i++) {
    await fill(store, 100 + i, keys)
    await store.checkpoint()
    await store.maintain()
  }
  time.ms += GRACE + 1
  await store.maintain()
  time.ms += GRACE + 1
  await store.maintain()
  await store.close()
}

export async function namesOf(storage: Storage, path: string): Promise<string[]> {
  const { items } = await storage.blobs.list(`${path}/`)
  return items.map(({ name }) => name.slice(path.length + 1, path.length + 4))
}

export async function endOf(
  { storage }: Pick<SplitByHand, 'storage'>,
  part: Part,
): Promise<(SealedEnd & { readonly trim: number }) | undefined> {
  const { value } = await readAnchor(storage.anchor(`s/${part.folder ?? 0}/anchor`), 'it')
  return value?.sealed && { ...decodeSealedEnd(value.sealed, 'it'), trim: value.trim }
}

export interface SplitStore {
  readonly time: { ms: number }
  readonly hand: SplitByHand
  readonly root: Part
  readonly children: readonly Part[]
  /** Those of the root. */
  readonly versions: readonly number[]
  /** The state at its seal. */
  readonly sealed: ShardState
  readonly plan: Plan
  /** It owned the root, and has not heard that it was sealed. */
  readonly owner: Store<string, number>
}

export interface SplitOptions {
  readonly cuts?: readonly number[]
  readonly wrap?: (storage: Storage, time: { ms: number }) => Storage
  readonly creates?: boolean
}

/** A store with three versions that was split at a partition. */
export async function splitStore(
  retain: SplitByHand['retain'] = { versions: 1 },
  { cuts = [2], wrap = (storage) => storage, creates = true }: SplitOptions = {},
): Promise<SplitStore> {
  const time = { ms: 0 }
  const hand = new SplitByHand(wrap(memory({ clock: clockOf(time) }), time), clockOf(time), retain)
  const store = await hand.open()
  const versions = [await fill(store, 1)]
  await store.checkpoint()
  versions.push(await fill(store, 2))
  await store.checkpoint()
  versions.push(await fill(store, 3))
  const root = await hand.root()
  const plan = await hand.seal([root], cuts)
  if (creates) for (const child of plan.children) await hand.create(plan, child)
  return { time, hand, root, children: plan.children, versions, sealed: plan.parents[0]!.state, plan, owner: store }
}

/** The segments that a state reads and that are gone. */
export async function missingOf(storage: Storage, state: ShardState): Promise<string[]> {
  const missing: string[] = []
  for (const { name } of segmentsOf(state)) if (!(await storage.blobs.get(name)).bytes) missing.push(name)
  return missing
}
