/** A store of which something is lost, what it may show, and that it takes back what is put back. */
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
import { isEntry, numberOf, type LossWorld, type Objects } from './loss-worlds.js'

export const NAME = 'lost'

/** Short waits are over at once. */
export const quickClock: Clock = {
  ...systemClock,
  timer: (ms, run, options) => systemClock.timer(ms < 1_000 ? 0 : ms, run, options),
}

const silent = { warn: () => undefined }

/** A clock on which whatever is to be waited for has passed. */
export function longClock(): Clock {
  let now = 1_700_000_000_000
  return { ...quickClock, now: () => (now += 50) }
}

export function open(storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> {
  const small = { partitions: 2, retain: { versions: 30 }, graceMs: 1, segmentBytes: 600, blockBytes: 150 }
  return openStore({ storage, name: NAME, clock: quickClock, logger: silent, ...small, ...options })
}

export function change(store: Store, i: number): void {
  store.put('newest', i)
  store.put(`key ${i % 9}`, { i, text: 'x'.repeat(i % 40) })
  store.table('other').put(i % 5, i)
  if (i % 4 === 0) store.delete(`key ${(i + 3) % 9}`)
}

/** The contents of the store after commit `i`. */
export function stateAfter(i: number): Record<string, unknown> {
  const state: Record<string, unknown> = {}
  for (let j = 1; j <= i; j++) {
    state['newest'] = j
    state[`key ${j % 9}`] = { i: j, text: 'x'.repeat(j % 40) }
    state[`other ${j % 5}`] = j
    if (j % 4 === 0) delete state[`key ${(j + 3) % 9}`]
  }
  return state
}

export async function contents(store: Pick<Store, 'entries' | 'table'>): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {}
  for await (const [key, value] of store.entries()) found[String(key)] = value
  for await (const [key, value] of store.table('other').entries()) found[`other ${String(key)}`] = value
  return found
}

export const reached = (store: Pick<Store, 'offsets'>): number => (store.offsets['i'] as number | undefined) ?? 0

export async function advance(store: Store, first: number, last: number): Promise<void> {
  for (let i = first; i <= last; i++) {
    change(store, i)
    await store.commit({ offsets: { i } })
  }
}

/** A store of so many commits, by several owners, with folds, collections and a tag. */
export async function grow(storage: Storage, age: number): Promise<void> {
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
export interface Case {
  readonly whole: Objects
  readonly age: number
  readonly lost: ReadonlySet<string>
  readonly left: Objects
  /** Only the newest entries are gone, as far as anybody can tell. */
  readonly isCutShort: boolean
}

/** Everything that can get lost by itself; a folder is gone with all that is in it, and is named with a slash at its end. */
export function thingsOf(objects: Objects): string[] {
  const folders = new Set<string>()
  for (const name of objects.keys()) {
    for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1)) folders.add(name.slice(0, at + 1))
  }
  return [...objects.keys(), ...folders]
}

export function lose(whole: Objects, age: number, things: readonly string[]): Case {
  const isLost = (name: string): boolean =>
    things.some((thing) => (thing.endsWith('/') ? name.startsWith(thing) : name === thing))
  const lost = new Set([...whole.keys()].filter(isLost))
  const left = new Map([...whole].filter(([name]) => !lost.has(name)))
  const newest = [...whole.keys()].filter(isEntry).sort((a, b) => numberOf(b) - numberOf(a))[0]
  return { whole, age, lost, left, isCutShort: newest !== undefined && lost.has(newest) }
}

export interface Tally {
  right: number
  earlier: number
  new: number
  [code: string]: number
}

export class Trial {
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
      // Without its segments a store cannot be folded, and then it takes no more commits.
      if (mayWrite && isTidemarkError(error.cause) && error.cause.code === 'CORRUPT') return undefined
      const isGone = error.code === 'NOT_FOUND' || error.code === 'INVALID_ARGUMENT'
      if (error.code !== 'CORRUPT' && !(isGone && this.isNothingLeft)) throw error
      this.#tally[error.code] = (this.#tally[error.code] ?? 0) + 1
      if (!mayWrite) expect(await this.world.dump(NAME)).toEqual(this.given.left)
      return undefined
    }
  }

  /** Compares the contents of an opened store with what they should be; `false` when it is not the newest version. */
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

  /** A store that opens may still have lost a part: an error says so, and nothing is made up for it. */
  async #readable(run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (error) {
      const codes = ['CORRUPT', 'NOT_FOUND']
      if (!isTidemarkError(error) || !codes.includes(error.code) || this.given.lost.size === 0) throw error
    }
  }

  /**
   * Puts back the lost things: everything is there, and what came since. Once the store has been collected, only what has not
   * been made anew may be: an anchor of before would lead to what is gone.
   */
  async putBack(last: number, isCollected = false): Promise<void> {
    const { world, given } = this
    const there = await world.dump(NAME)
    const back = [...given.whole].filter(
      ([name]) => given.lost.has(name) && !((isCollected || isEntry(name)) && there.has(name)),
    )
    await world.put(new Map(back))
    for (const mode of ['follower', 'exclusive'] as const) {
      const store = await open(world.storage, { mode, create: false, force: true })
      expect(reached(store)).toBe(last)
      expect(await contents(store)).toEqual(stateAfter(last))
      await store.close()
    }
  }
}
