/** Writers that take a store from one another, beside a follower, in the seeded simulator. */
import { expect } from 'vitest'
import { isTidemarkError, openStore, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { simulate, type Actor } from 'tidemark/testing'
import { probe } from '../../src/storage/probe.js'
import { collect } from './storages.js'

const TYPED = new Set(['FENCED', 'UNKNOWN_OUTCOME', 'CONFLICT', 'STORAGE_UNAVAILABLE'])

interface World {
  readonly storage: Storage
  /** Version to label, of all that was acknowledged to anybody. */
  readonly acknowledged: Map<number, string>
  readonly fenced: Set<string>
}

async function openFor(me: Actor, { storage }: World, mode: 'exclusive' | 'follower'): Promise<Store> {
  const wrapped = me.storage(storage)
  await probe(memory(), 'sim/0', me.clock, wrapped)
  const small = { checkpoint: { entries: 4, bytes: 1_000 }, segmentBytes: 300, blockBytes: 80 }
  const times = { clock: me.clock, graceMs: 60_000, timeoutMs: 5_000 }
  return openStore({ storage: wrapped, name: 'sim', mode, ...times, ...small })
}

/** Commits a counter that every writer raises; takes the store back when it was fenced. */
async function writer(me: Actor, world: World, commits: number): Promise<void> {
  let store: Store | undefined
  for (let i = 1; i <= commits; i++) {
    const label = `${me.name} ${i}`
    try {
      store ??= await openFor(me, world, 'exclusive')
      const count = ((await store.get('count')) as number | undefined) ?? 0
      store.put('count', count + 1)
      store.put(`by ${me.name}`, i)
      const { version } = await store.commit({ label, offsets: { [me.name]: i } })
      expect(world.acknowledged.has(version), `version ${version} acknowledged twice`).toBe(false)
      world.acknowledged.set(version, label)
    } catch (error) {
      if (!isTidemarkError(error) || !TYPED.has(error.code)) throw error
      if (error.code === 'FENCED') world.fenced.add(label)
      await store?.close()
      store = undefined
    }
  }
  await store?.close()
}

/** Reads what appears, and holds every state that it sees against what a state can be. */
async function follower(me: Actor, world: World): Promise<void> {
  let store: Store | undefined
  let seen = 0
  for (let i = 0; i < 10; i++) {
    try {
      if (store) await store.refresh()
      else store = await openFor(me, world, 'follower')
      expect(store.version).toBeGreaterThanOrEqual(seen)
      seen = store.version
      const entries = new Map(await collect(store.entries()))
      const made = await collect(store.versions())
      expect(entries.get('count') ?? 0).toBe(made.length)
    } catch (error) {
      if (!isTidemarkError(error) || (error.code !== 'NOT_FOUND' && !TYPED.has(error.code))) throw error
    }
  }
  await store?.close()
}

/** One run; throws, naming the seed, when an invariant does not hold. */
export async function rivals(seed: number): Promise<void> {
  try {
    await life(seed)
  } catch (error) {
    throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
  }
}

async function life(seed: number): Promise<void> {
  const world: World = { storage: memory(), acknowledged: new Map(), fenced: new Set() }
  const options = { seed, stalls: { chance: 0.01, ms: 20_000, clock: seed % 2 ? 'stops' : 'runs' } } as const
  await simulate(options, async (sim) => {
    const actors = [
      ...['a', 'b', 'c'].map((name, i) =>
        sim.actor(name, (me) => writer(me, world, 8), { skewMs: (i - 1) * 3_600_000 }),
      ),
      sim.actor('f', (me) => follower(me, world)),
    ]
    if (seed % 3 === 0) {
      await sim.call('wait', async () => undefined)
      sim.crash(actors[sim.random.below(3)]!)
    }
    await Promise.all(actors.map(({ done }) => done))
  })
  // Nobody is there any more: what is left is the history.
  const store = await openStore({ storage: world.storage, name: 'sim', mode: 'follower' }).catch((error: unknown) => {
    if (isTidemarkError(error) && error.code === 'NOT_FOUND' && world.acknowledged.size === 0) return undefined
    throw error
  })
  if (store === undefined) return
  const history = new Map((await collect(store.versions())).map((v) => [v.version, v.label]))
  for (const [version, label] of world.acknowledged) expect(history.get(version)).toBe(label)
  expect(new Set(history.values()).size).toBe(history.size)
  for (const label of world.fenced) expect([...history.values()]).not.toContain(label)
  expect(await store.get('count')).toBe(history.size === 0 ? undefined : history.size)
  await store.close()
}
