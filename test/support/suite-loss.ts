/**
 * What becomes of a store of which something is gone: each object, or file, each folder, one at a time and in pairs, at
 * several ages. Whoever opens it, copies it or looks at it sees all that was acknowledged, or gets a typed error; an error
 * has written nothing; and when what was lost is put back, everything is there again.
 *
 * On objects one loss can't be told: that of the newest entries. Then an earlier version is shown, and `expectAtLeast` tells.
 */
import { expect } from 'vitest'
import {
  isTidemarkError,
  openStore,
  systemClock,
  type Clock,
  type OpenOptions,
  type Storage,
  type Store,
} from 'tidemark'
import { memory } from 'tidemark/memory'
import { destroyStore, listStores, verify } from 'tidemark/tools'
import { push } from 'tidemark/transfer'
import { Random } from '../../src/testing/random.js'
import { isEntry, numberOf, objectsWorld, type LossWorld, type Objects } from './loss-worlds.js'
import type { SuiteOptions } from './suites.js'

const NAME = 'lost'

/** Short waits are over at once. */
const quickClock: Clock = {
  ...systemClock,
  timer: (ms, run, options) => systemClock.timer(ms < 1_000 ? 0 : ms, run, options),
}

const silent = { warn: () => undefined }

/** A clock on which whatever is to be waited for has passed. */
function longClock(): Clock {
  let now = 1_700_000_000_000
  return { ...quickClock, now: () => (now += 50) }
}

function open(storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> {
  const small = { partitions: 2, retain: { versions: 30 }, graceMs: 1, segmentBytes: 600, blockBytes: 150 }
  return openStore({ storage, name: NAME, clock: quickClock, logger: silent, ...small, ...options })
}

function change(store: Store, i: number): void {
  store.put('newest', i)
  store.put(`key ${i % 9}`, { i, text: 'x'.repeat(i % 40) })
  store.table('other').put(i % 5, i)
  if (i % 4 === 0) store.delete(`key ${(i + 3) % 9}`)
}

/** What the store holds after commit `i`. */
function stateAfter(i: number): Record<string, unknown> {
  const state: Record<string, unknown> = {}
  for (let j = 1; j <= i; j++) {
    state['newest'] = j
    state[`key ${j % 9}`] = { i: j, text: 'x'.repeat(j % 40) }
    state[`other ${j % 5}`] = j
    if (j % 4 === 0) delete state[`key ${(j + 3) % 9}`]
  }
  return state
}

async function contents(store: Pick<Store, 'entries' | 'table'>): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {}
  for await (const [key, value] of store.entries()) found[String(key)] = value
  for await (const [key, value] of store.table('other').entries()) found[`other ${String(key)}`] = value
  return found
}

const reached = (store: Pick<Store, 'offsets'>): number => (store.offsets['i'] as number | undefined) ?? 0

async function advance(store: Store, first: number, last: number): Promise<void> {
  for (let i = first; i <= last; i++) {
    change(store, i)
    await store.commit({ offsets: { i } })
  }
}

/** A store of so many commits, by several owners, with folds, collections and a tag. */
async function grow(storage: Storage, age: number): Promise<void> {
  const clock = longClock()
  let store = await open(storage, { clock })
  for (let i = 1; i <= age; i++) {
    await advance(store, i, i)
    if (i === 3) await store.tag('third')
    if (i % 50 === 0) await store.maintain()
    if (i % 11 === 8) {
      await store.close()
      store = await open(storage, { clock })
    }
  }
  await store.close()
}

/** A store that was acknowledged up to commit `age`, and what is done to it. */
interface Case {
  readonly whole: Objects
  readonly age: number
  readonly lost: ReadonlySet<string>
  readonly left: Objects
  /** Only the newest entries are gone, as far as anybody can tell. */
  readonly isCutShort: boolean
}

/** Everything that can get lost by itself; a folder is gone with all that is in it, and is named with a slash at its end. */
function thingsOf(objects: Objects): string[] {
  const folders = new Set<string>()
  for (const name of objects.keys()) {
    for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1)) folders.add(name.slice(0, at + 1))
  }
  return [...objects.keys(), ...folders]
}

function lose(whole: Objects, age: number, things: readonly string[]): Case {
  const isLost = (name: string): boolean =>
    things.some((thing) => (thing.endsWith('/') ? name.startsWith(thing) : name === thing))
  const lost = new Set([...whole.keys()].filter(isLost))
  const left = new Map([...whole].filter(([name]) => !lost.has(name)))
  const newest = [...whole.keys()].filter(isEntry).sort((a, b) => numberOf(b) - numberOf(a))[0]
  return { whole, age, lost, left, isCutShort: newest !== undefined && lost.has(newest) }
}

interface Tally {
  right: number
  earlier: number
  new: number
  [code: string]: number
}

class Trial {
  readonly world: LossWorld
  readonly given: Case
  readonly #tally: Tally

  constructor(world: LossWorld, given: Case, tally: Tally) {
    this.world = world
    this.given = given
    this.#tally = tally
  }

  get isNothingLeft(): boolean {
    return this.given.left.size === 0
  }

  /** Runs what must show all or fail typed; after an error nothing is written. */
  async attempt<T>(run: () => Promise<T>, mayWrite = false): Promise<T | undefined> {
    try {
      return await run()
    } catch (error) {
      if (!isTidemarkError(error)) throw error
      const isGone = error.code === 'NOT_FOUND' || error.code === 'INVALID_ARGUMENT'
      if (error.code !== 'CORRUPT' && !(isGone && this.isNothingLeft)) throw error
      this.#tally[error.code] = (this.#tally[error.code] ?? 0) + 1
      if (!mayWrite) expect(await this.world.dump(NAME)).toEqual(this.given.left)
      return undefined
    }
  }

  /** What an opened store shows; `false` when it is not the newest version. */
  async look(store: Store): Promise<boolean> {
    const { age, isCutShort } = this.given
    const i = reached(store)
    if (i === 0 && this.isNothingLeft) {
      this.#tally.new++
      return false
    }
    if (!isCutShort) expect(i).toBe(age)
    await this.#readable(async () => expect(await contents(store)).toEqual(stateAfter(i)))
    this.#tally[i === age ? 'right' : 'earlier']++
    if (i === age && age >= 3) {
      await this.#readable(async () => {
        const past = await store.at('third')
        expect(await contents(past)).toEqual(stateAfter(3))
        await past.close()
      })
    }
    return i === age
  }

  /** Of a store that opens, a part may still be lost: that is said, and never made up for. */
  async #readable(run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (error) {
      const codes = ['CORRUPT', 'NOT_FOUND']
      if (!isTidemarkError(error) || !codes.includes(error.code) || this.given.lost.size === 0) throw error
    }
  }

  /** What was lost is put back: everything is there, and what came since. */
  async putBack(last: number): Promise<void> {
    const { world, given } = this
    const there = await world.dump(NAME)
    const back = [...given.whole].filter(([name]) => given.lost.has(name) && !(isEntry(name) && there.has(name)))
    await world.put(new Map(back))
    for (const mode of ['follower', 'exclusive'] as const) {
      const store = await open(world.storage, { mode, create: false, force: true })
      expect(reached(store)).toBe(last)
      expect(await contents(store)).toEqual(stateAfter(last))
      await store.close()
    }
  }
}

const opening =
  (options: Partial<OpenOptions>) =>
  async (trial: Trial): Promise<void> => {
    const store = await trial.attempt(() => open(trial.world.storage, { force: true, ...options }))
    let last = trial.given.age
    if (store) {
      const isNewest = await trial.look(store)
      if (options.mode !== 'follower' && isNewest) {
        change(store, ++last)
        await trial.attempt(() => store.commit({ offsets: { i: last } }), true)
        last = reached(store)
      }
      await store.close()
      if (!isNewest) return
    }
    await trial.putBack(last)
  }

/** What is done with a store after the loss. */
const ACTS: Readonly<Record<string, (trial: Trial) => Promise<void>>> = {
  'open an existing one': opening({ create: false }),
  follow: opening({ mode: 'follower' }),
  share: opening({ mode: 'shared' }),
  open: opening({}),

  async collect(trial) {
    const { storage } = trial.world
    const options = { clock: longClock(), retain: { versions: 1 }, create: false, force: true }
    const store = await trial.attempt(() => open(storage, options))
    if (!store) {
      await trial.putBack(trial.given.age)
      return
    }
    const isNewest = await trial.look(store)
    const rounds = 4
    for (let i = 1; isNewest && i <= rounds; i++) {
      await trial.attempt(async () => {
        await advance(store, reached(store) + 1, reached(store) + 1)
        await store.checkpoint()
        await store.maintain({ minDeletes: 1 })
      }, true)
    }
    const last = reached(store)
    await store.close()
    if (isNewest) await trial.putBack(last)
  },

  async create(trial) {
    const { storage } = trial.world
    const { code } = await open(storage, { create: true }).then(
      async (store) => {
        await store.close()
        return { code: 'made' }
      },
      (error: unknown) => error as { code: string },
    )
    expect(trial.isNothingLeft ? ['made'] : ['INVALID_ARGUMENT', 'CORRUPT']).toContain(code)
    if (code === 'made') return
    expect(await trial.world.dump(NAME)).toEqual(trial.given.left)
    await trial.putBack(trial.given.age)
  },

  async reopen(trial) {
    const { world, given } = trial
    // Before the loss, so that the handle knows of more than is left.
    await world.put(new Map([...given.whole].filter(([name]) => given.lost.has(name))))
    const store = await open(world.storage, { mode: 'follower' })
    await world.lose([...given.lost])
    const isOpen = await trial.attempt(async () => {
      await store.reopen()
      return true
    })
    if (isOpen) await trial.look(store)
    await store.close()
    await trial.putBack(given.age)
  },

  async verify(trial) {
    const { world, given } = trial
    const report = await trial.attempt(() => verify({ storage: world.storage, name: NAME }, { clock: quickClock }))
    expect(await world.dump(NAME)).toEqual(given.left)
    if (report?.ok) {
      const store = await open(world.storage, { mode: 'follower' })
      await trial.look(store)
      await store.close()
    }
    await trial.putBack(given.age)
  },

  async list(trial) {
    const stores = await listStores(trial.world.storage)
    for (const { name } of stores) expect(name).toBe(NAME)
    expect(await trial.world.dump(NAME)).toEqual(trial.given.left)
    await trial.putBack(trial.given.age)
  },

  async destroy(trial) {
    const { storage } = trial.world
    const destroyed = destroyStore({ storage, name: NAME }, { force: true })
    if (trial.isNothingLeft) await expect(destroyed).rejects.toMatchObject({ code: 'NOT_FOUND' })
    else await destroyed
    await expect(open(storage, { create: false })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await listStores(storage)).toEqual([])
    const store = await open(storage, { create: true })
    expect(await contents(store)).toEqual({})
    await store.close()
  },

  async push(trial) {
    const { storage } = trial.world
    const other = memory()
    const source = await open(other, { name: 'source' })
    source.put('newest', 'pushed')
    await source.commit()
    await source.close()
    const from = { storage: other, name: 'source' }
    const to = { storage, name: NAME }
    const pushed = await trial.attempt(() => push(from, to, { force: true, clock: quickClock }), true)
    if (pushed === undefined) {
      await trial.putBack(trial.given.age)
      return
    }
    const store = await open(storage, { mode: 'follower' })
    expect(await contents(store)).toEqual({ newest: 'pushed' })
    await store.close()
  },

  async fork(trial) {
    const { storage } = trial.world
    const parent = await trial.attempt(() => open(storage, { create: false, force: true }))
    if (parent) {
      const i = reached(parent)
      if (i !== trial.given.age) {
        await parent.close()
        return
      }
      const forked = await trial.attempt(async () => {
        await parent.fork('child')
        return true
      }, true)
      await parent.close()
      if (forked) {
        const child = await open(storage, { name: 'child', mode: 'follower' })
        await trial.look(child)
        await child.close()
      }
    }
    await trial.putBack(trial.given.age)
  },

  async 'fork to its name'(trial) {
    const { storage } = trial.world
    const parent = await open(storage, { name: 'parent' })
    parent.put('newest', 'parent')
    await parent.commit()
    const error: unknown = await parent.fork(NAME).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    await parent.close()
    if (trial.isNothingLeft) {
      expect(error).toBe(undefined)
      return
    }
    expect(['INVALID_ARGUMENT', 'CORRUPT']).toContain((error as { code?: string } | undefined)?.code)
    expect(await trial.world.dump(NAME)).toEqual(trial.given.left)
    await trial.putBack(trial.given.age)
  },
}

/** How much is tried. */
export interface LossShare {
  readonly ages: readonly number[]
  /** Of the things, and of the pairs of things, that can be lost at each age. */
  readonly singles: number
  readonly pairs: number
  /** What is done after a single loss, of all that there is to do; after a double one it is one thing. */
  readonly acts: number
  /** Of the things that a fork can lose, or a store beneath its owner. */
  readonly others: number
}

export const FEW_LOSSES: LossShare = { ages: [14], singles: 3, pairs: 2, acts: 1, others: 1 }
export const MORE_LOSSES: LossShare = { ages: [2, 14, 31], singles: 8, pairs: 6, acts: 1, others: 3 }
export const SOME_LOSSES: LossShare = { ages: [1, 2, 13, 31, 120], singles: 10, pairs: 10, acts: 2, others: 8 }
export const EVERY_LOSS: LossShare = {
  ages: [...Array.from({ length: 20 }, (_, i) => i + 1), 31, 45, 50, 51, 60, 99, 101, 150, 200, 250, 300],
  singles: 60,
  pairs: 150,
  acts: 4,
  others: 60,
}

/** At random, each at most once. */
function some<T>(all: readonly T[], most: number, random: Random): readonly T[] {
  if (all.length <= most) return all
  const rest = [...all]
  return Array.from({ length: most }, () => rest.splice(random.below(rest.length), 1)[0]!)
}

function pairsOf(things: readonly string[], most: number, random: Random): string[][] {
  const pairs: string[][] = []
  for (const [i, a] of things.entries()) for (const b of things.slice(i + 1)) pairs.push([a, b])
  return [...some(pairs, most, random)]
}

export function lossSuite({ test, make, loss, world }: SuiteOptions): void {
  const fresh = world ?? ((): LossWorld => objectsWorld(make()))
  for (const age of loss.ages) {
    test(`after ${age} commits a store that has lost any thing, or any two, shows all that was acknowledged or says so`, async () => {
      const random = new Random(age)
      const acts = Object.entries(ACTS)
      const tally: Tally = { right: 0, earlier: 0, new: 0 }
      const failures: string[] = []
      const young = world ? world() : objectsWorld(memory())
      await grow(young.storage, age)
      const whole = await young.dump(NAME)
      const things = thingsOf(whole)
      const singles = some(things, loss.singles, random).map((thing) => [thing])
      let turn = age
      for (const lost of [...singles, ...pairsOf(things, loss.pairs, random)]) {
        const given = lose(whole, age, lost)
        for (let i = lost.length === 1 ? loss.acts : 1; i > 0; i--) {
          const [what, act] = acts[turn++ % acts.length]!
          const trial = new Trial(fresh(), given, tally)
          try {
            await trial.world.put(given.left)
            await act(trial)
          } catch (error) {
            failures.push(`without ${lost.join(' and ')}: ${what}: ${String(error)}`)
          }
        }
      }
      expect(failures).toEqual([])
      expect(Object.values(tally).reduce((sum, count) => sum + count)).toBeGreaterThan(0)
    })
  }

  test('what is acknowledged after a loss beneath its owner is there when the rest is put back', async () => {
    const age = loss.ages.find((commits) => commits >= 13)!
    const young = world ? world() : objectsWorld(memory())
    await grow(young.storage, age)
    const begun = await young.dump(NAME)
    for (let [i, all] = [0, 4 * loss.others]; i < Math.min(all, 4 * loss.others); i++) {
      const { storage, put, lose: take, dump } = fresh()
      await put(begun)
      const owner = await open(storage)
      const whole = await dump(NAME)
      // The names of files are other ones each time.
      const things = thingsOf(whole)
      all = things.length
      const thing = things[Math.floor((i * all) / Math.min(all, 4 * loss.others))]!
      const { lost } = lose(whole, age, [thing])
      await take([...lost])
      change(owner, age + 1)
      const isDone = await owner.commit({ offsets: { i: age + 1 } }).then(
        () => true,
        (error: unknown) => {
          if (!isTidemarkError(error)) throw error
          return false
        },
      )
      await owner.close()
      const there = await dump(NAME)
      await put(new Map([...whole].filter(([name]) => lost.has(name) && !(isEntry(name) && there.has(name)))))
      const after = await open(storage, { mode: 'follower' })
      expect(isDone ? [age + 1] : [age, age + 1], thing).toContain(reached(after))
      expect(await contents(after)).toEqual(stateAfter(reached(after)))
      await after.close()
    }
  })

  test('what a fork needs is kept for it while it has lost something', async () => {
    const random = new Random(12)
    const clock = longClock()
    const young = world ? world() : objectsWorld(memory())
    const parent = await open(young.storage, { name: 'parent', clock })
    await advance(parent, 1, 20)
    await parent.checkpoint()
    await parent.fork(NAME)
    const fork = await open(young.storage, { clock })
    await advance(fork, 21, 26)
    await parent.close()
    await fork.close()
    let collected = 0
    const [parents, whole] = [await young.dump('parent'), await young.dump(NAME)]
    for (const thing of some(thingsOf(whole), loss.others, random)) {
      const given = lose(whole, 26, [thing])
      // Of a fork of which nothing at all is left, nothing says that it ever was.
      if (given.left.size === 0) continue
      const trial = new Trial(fresh(), given, { right: 0, earlier: 0, new: 0 })
      await trial.world.put(new Map([...parents, ...given.left]))
      const owner = await open(trial.world.storage, { name: 'parent', clock, retain: { versions: 1 } })
      for (let i = 0; i < 4; i++) {
        owner.clear()
        owner.put('round', i)
        await owner.commit()
        await owner.checkpoint()
        await owner.maintain({ minDeletes: 1 })
      }
      collected += owner.metrics().collected
      await owner.close()
      expect(await trial.world.dump(NAME)).toEqual(given.left)
      await trial.putBack(26)
    }
    expect(collected).toBeGreaterThan(0)
  })
}
