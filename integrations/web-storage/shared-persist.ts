/**
 * A zustand state that several tabs share. What is shown is the stored state with the updates on top of it that are not known
 * to be stored yet. Each update is stored by being done again on the stored state, in a transaction, and the stored value
 * says how many updates of each tab are in it: so each counts once, whatever else happens.
 */
import { isTidemarkError, jsonCodec, systemClock, type Live, type Table } from '../../src/index.js'
import { Backed, type Backing } from '../common/backing.js'
import { callable, checkOptions, tableName, type Rules } from '../common/options.js'

type Update<T> = Partial<T> | ((state: T) => Partial<T>)

/** The `set` of zustand. */
interface SetState<T> {
  (update: T | Partial<T> | ((state: T) => T | Partial<T>), replace?: false): void
  (update: T | ((state: T) => T), replace: true): void
}

/** A store of zustand. */
interface StoreApi<T> {
  setState: SetState<T>
  getState(): T
}

/** What zustand makes a state by. */
type StateCreator<T> = (set: SetState<T>, get: () => T, api: StoreApi<T>) => T

/** Options of `sharedPersist`. */
export interface SharedPersistOptions<T> {
  /**
   * The name that the state is kept under.
   * @when Always: another name for each state.
   */
  readonly name: string
  /**
   * The table that it is in.
   * @default 'shared-state'
   * @when Set it to keep states of two programs apart.
   */
  readonly table?: string | undefined
  /**
   * The part of the state that is kept and shared; the rest stays in this tab.
   * @default all that is no function
   * @when Set it where a part of the state belongs to one tab.
   */
  readonly partialize?: ((state: T) => Partial<T>) | undefined
  /**
   * Is told what goes wrong. An update that throws or that cannot be stored is undone; all others are tried again.
   * @default `console.warn`
   * @when Set it to show users what was undone.
   */
  readonly onError?: ((error: unknown) => void) | undefined
}

const rules: Rules<SharedPersistOptions<never>> = {
  name: ['the name of the state, a string,', (given) => typeof given === 'string', true],
  table: tableName,
  partialize: callable,
  onError: callable,
}

/** The state as it is stored. */
interface Stored<T> {
  readonly state: Partial<T>
  /** What has an initial value, and has none here: a field that is named nowhere is a new one. */
  readonly without: readonly string[]
  /** How many updates of each tab are in it; those that wrote last are at the end. */
  readonly by: readonly (readonly [tab: string, count: number])[]
}

/** So many tabs are known: one that is about to store has written lately. */
const KNOWN_TABS = 100
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000

export class SharedPersist<T extends object> {
  readonly #options: SharedPersistOptions<T>
  readonly #backed: Backed<string, Stored<T>>
  readonly #tab = Array.from(systemClock.random(8), (byte) => byte.toString(36)).join('-')
  #set: SetState<T> = () => undefined
  #get!: () => T
  #initial: Partial<T> = {}
  #live: Live<readonly [string, Stored<T>]> | undefined
  /** The updates that the stored state may not have yet: the first is number `#dropped` + 1. */
  readonly #updates: (readonly [update: Update<T>, replace: boolean])[] = []
  #dropped = 0
  #stored = 0
  /** Up to here they are stored one by one: one of them cannot be. */
  #oneByOne = 0
  #isStoring = false
  #isClosed = false
  #pause = FIRST_PAUSE_MS
  readonly #waiting = new Set<() => void>()
  #hasShown = (): void => undefined
  /** Resolves when what was stored is shown. */
  readonly ready = new Promise<void>((resolve) => (this.#hasShown = resolve))

  /** @internal */
  constructor(backing: Backing, options: SharedPersistOptions<T>) {
    this.#options = checkOptions('sharedPersist', options, rules)
    this.#backed = new Backed(backing, options.table ?? 'shared-state')
  }

  /**
   * Makes the state of `initializer` a shared one. `set` shows an update at once, and stores it afterwards. One that depends on
   * the state before is given as a function, `set((state) => …)`: it is called again for what is stored, and so must do
   * nothing but return the change.
   */
  readonly persist =
    (initializer: StateCreator<T>): StateCreator<T> =>
    (set, get, api) => {
      const shared: SetState<T> = (update: Update<T> | T, replace?: boolean) => {
        set(update as T, replace as true)
        this.#add(update as Update<T>, replace === true)
      }
      this.#set = api.setState
      api.setState = shared
      this.#get = get
      const initial = initializer(shared, get, api)
      this.#initial = this.#keptOf(initial)
      void Promise.resolve().then(() => this.#start())
      return initial
    }

  /** Resolves when every update so far is stored, or was undone with an error. */
  async committed(): Promise<void> {
    for (const count = this.#count; this.#stored < count && !this.#isClosed;) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  /** Stops sharing: what is not stored yet stays in this tab. A store that this has opened is closed. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#live?.close()
    this.#tell()
    await this.#backed.close()
  }

  get #count(): number {
    return this.#dropped + this.#updates.length
  }

  #add(update: Update<T>, replace: boolean): void {
    if (this.#isClosed) return
    this.#updates.push([update, replace])
    void this.#store()
  }

  async #start(): Promise<void> {
    try {
      const { table } = await this.#backed.open()
      if (this.#isClosed) return
      const { name } = this.#options
      const live = table.live({ gte: name, lte: name })
      this.#live = live
      live.subscribe(() => this.#show())
      // It tries again by itself.
      live.ready.catch((error: unknown) => this.#report(error))
      if (live.isReady) this.#show()
    } catch (error) {
      this.#report(error)
      this.#again(() => void this.#start())
      return
    }
    void this.#store()
  }

  /** Shows what is stored, and on top of it what is not yet. */
  #show(): void {
    const live = this.#live!
    const stored = live.current[0]?.[1]
    const known = Math.min(this.#countIn(stored), this.#count)
    if (known > this.#dropped) {
      this.#updates.splice(0, known - this.#dropped)
      this.#dropped = known
    }
    const kept = this.#keptOf(this.#after(stored, this.#updates))
    const before = this.#get()
    const next = { ...before }
    for (const name of Object.keys(this.#keptOf(before)) as (keyof T)[]) if (!(name in kept)) delete next[name]
    for (const name of Object.keys(kept) as (keyof T)[]) {
      // What is the same stays the same object.
      if (!isSame(before[name], kept[name])) next[name] = kept[name]!
    }
    const names = new Set([...Object.keys(before), ...Object.keys(next)]) as Set<keyof T>
    if ([...names].some((name) => before[name] !== next[name])) this.#set(next, true)
    this.#hasShown()
  }

  #countIn(stored: Stored<T> | undefined): number {
    return stored?.by.find(([tab]) => tab === this.#tab)?.[1] ?? 0
  }

  /** The state after updates on top of what is stored; those that throw are left out. */
  #after(stored: Stored<T> | undefined, updates: readonly (readonly [Update<T>, boolean])[]): T {
    let state = this.#over(stored)
    for (const update of updates) {
      try {
        state = changed(state, update)
      } catch {
        // It is undone, and reported, when it comes to be stored.
      }
    }
    return state
  }

  /** What is stored, with what is of this tab alone. */
  #over(stored: Stored<T> | undefined): T {
    const state = { ...this.#get() }
    for (const name of Object.keys(this.#keptOf(state)) as (keyof T)[]) delete state[name]
    Object.assign(state, this.#initial, stored?.state)
    for (const name of stored?.without ?? []) delete state[name as keyof T]
    return state
  }

  #keptOf(state: T): Partial<T> {
    const { partialize } = this.#options
    const isKept = (value: unknown): boolean => value !== undefined && (partialize ? true : typeof value !== 'function')
    const entries = Object.entries(partialize?.(state) ?? state).filter(([, value]) => isKept(value))
    return Object.fromEntries(entries) as Partial<T>
  }

  /** Stores what is not stored yet, all at once. */
  async #store(): Promise<void> {
    if (this.#isStoring || this.#live === undefined) return
    this.#isStoring = true
    while (this.#stored < this.#count && !this.#isClosed) {
      const upTo = this.#stored < this.#oneByOne ? this.#stored + 1 : this.#count
      try {
        await this.#backed.run((table) => this.#storeUpTo(table, upTo))
        this.#stored = upTo
        this.#pause = FIRST_PAUSE_MS
      } catch (error) {
        if (this.#isClosed) break
        if (!isHopeless(error)) {
          this.#report(error)
          this.#again(() => void this.#store())
          break
        }
        this.#oneByOne = Math.max(this.#oneByOne, upTo)
        if (upTo === this.#stored + 1) this.#undo(upTo, error)
      }
      this.#tell()
    }
    this.#isStoring = false
  }

  async #storeUpTo(table: Table<string, Stored<T>>, upTo: number): Promise<void> {
    await table.update(this.#options.name, (before) => {
      const known = Math.max(this.#countIn(before), this.#dropped)
      const missing = this.#updates.slice(known - this.#dropped, upTo - this.#dropped)
      // After an unknown outcome it may turn out that they are there.
      if (before && missing.length === 0) return before
      const state = this.#keptOf(missing.reduce(changed<T>, this.#over(before)))
      const others = (before?.by ?? []).filter(([tab]) => tab !== this.#tab)
      const without = Object.keys(this.#initial).filter((name) => !(name in state))
      return { state, without, by: [...others.slice(1 - KNOWN_TABS), [this.#tab, upTo] as const] }
    })
  }

  /** An update that cannot be stored is one that changes nothing. */
  #undo(number: number, error: unknown): void {
    this.#updates[number - this.#dropped - 1] = [{}, false]
    this.#stored = number
    this.#report(error)
    this.#show()
  }

  #again(act: () => void): void {
    systemClock.timer(this.#pause, () => (this.#isClosed ? undefined : act()), { background: true })
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS)
  }

  #report(error: unknown): void {
    const { onError } = this.#options
    // oxlint-disable-next-line no-console -- where there is nobody to tell
    ;(onError ?? console.warn)(error)
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

function changed<T>(state: T, [update, replace]: readonly [Update<T>, boolean]): T {
  const change = typeof update === 'function' ? update(state) : update
  return replace ? (change as T) : { ...state, ...change }
}

/** Whether trying again helps nothing: the update throws, or its value cannot be stored. */
function isHopeless(error: unknown): boolean {
  return !isTidemarkError(error) || error.code === 'INVALID_ARGUMENT'
}

function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  try {
    const [one, other] = [jsonCodec.encode(a), jsonCodec.encode(b)]
    return one.length === other.length && one.every((byte, i) => byte === other[i])
  } catch {
    // What cannot be stored is like nothing else.
    return false
  }
}

/**
 * Shares a zustand state between tabs. Updates of several tabs are all there, each once: two that set different fields do not
 * touch each other, of two that set one field the last counts, and functional updates are done one after the other. One that
 * comes before the stored state has been read is not lost, and loses nothing.
 *
 * Its store has to be one in shared mode, which is the default in IndexedDB.
 * @param backing an open store, or the options of `openStore()`, by which it opens one
 * @throws `INVALID_ARGUMENT` when it is neither, an option is wrong, or there is no `name`
 * @example
 *     const shared = sharedPersist<Counter>(store, { name: 'counter' })
 *     const useCounter = create(shared.persist((set) => ({ n: 0, add: () => set(({ n }) => ({ n: n + 1 })) })))
 */
export function sharedPersist<T extends object>(backing: Backing, options: SharedPersistOptions<T>): SharedPersist<T> {
  return new SharedPersist(backing, options)
}
