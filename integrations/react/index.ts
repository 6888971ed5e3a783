/**
 * Tidemark in React 18 and 19: a provider that opens a store, and hooks that show what is committed and render again when that
 * has changed, and not before.
 */
import {
  createContext,
  createElement,
  startTransition,
  Suspense,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useReducer,
  useState,
  useSyncExternalStore,
  type ReactElement,
  type ReactNode,
} from 'react'
import { type Key, type Live, type LiveOptions, type OpenOptions, type Store, type Table } from '../../src/index.js'
import { checkOptions, flag, invalid, tableName, type Rules } from '../common/options.js'
import { makeOpening } from './opening.js'
import { Failure, keyOf, NOTHING, sharedLive } from './shared-live.js'

/** What a provider shows, and when. */
interface Shown {
  /**
   * The components that use the store.
   * @default none
   * @when Always: without them there is nothing to show.
   */
  readonly children?: ReactNode
  /**
   * Shown until the store is open, and while a hook below suspends.
   * @default nothing
   * @when Set it to show something while a store is opened.
   */
  readonly fallback?: ReactNode
  /**
   * Hooks below suspend until what they show has been read. An error boundary gets what cannot be read.
   * @default false: they show nothing until then
   * @when Set it so that no component is shown empty first.
   */
  readonly suspense?: boolean | undefined
  /**
   * The children are there before the store is, on a server too: hooks then show nothing.
   * @default false: the fallback is shown until the store is open
   * @when Set it for pages that a server renders.
   */
  readonly early?: boolean | undefined
}

/** A store that is open, and stays open, or the options of `openStore()`: then the provider opens it, and closes it. */
export type TidemarkProviderProps = Shown &
  ((OpenOptions & { readonly store?: undefined }) | { readonly store: AnyStore })

/** A store whatever its keys and values are. */
type AnyStore = Pick<Store, 'name' | 'version' | 'table' | 'on' | 'close'>

/** Options of a hook. */
export interface HookOptions {
  /**
   * Suspends until what it shows has been read.
   * @default as the provider has it
   * @when Set it where one component is to wait, or not to wait, unlike the others.
   */
  readonly suspense?: boolean | undefined
}

/** Options of `useEntries` and `useIndex`: a range, and how it is waited for. */
export interface EntriesOptions<K> extends LiveOptions<K>, HookOptions {}

/** Options of `useValue`. */
export interface ValueOptions extends HookOptions {
  /**
   * The name of another table of the store.
   * @default the one that is given, or the default table
   * @when Set it for a table of the provider's store.
   */
  readonly table?: string | undefined
}

const hookRules: Rules<HookOptions> = { suspense: flag }
const valueRules: Rules<ValueOptions> = { ...hookRules, table: tableName }

/** A table with indexes. */
interface Indexed<R, E> {
  index(name: string): { live(range: R): Live<E> }
}

const Context = createContext<{ readonly store: Store | undefined; readonly suspense: boolean }>({
  store: undefined,
  suspense: false,
})
const onServer = (): undefined => undefined
const never = () => onServer

/**
 * Opens a store for the components below, and closes it when the last provider of it has gone. Mounted twice, as in StrictMode,
 * or again at once, as after a hot reload, it is opened once: providers with the same `storage` and `name` share it. The
 * options are read when the provider is mounted; give it another `key` to open another store. An error boundary gets the
 * error of an opening that fails.
 * @example
 *     <TidemarkProvider storage={indexedDb('todo')} name="todo" fallback={<p>Loading …</p>}>
 */
export function TidemarkProvider(props: TidemarkProviderProps): ReactElement {
  const { children, fallback = null, suspense = false, early = false, store: given, ...options } = props
  const [opening] = useState(() => makeOpening(given ? undefined : (options as OpenOptions)))
  const opened = useSyncExternalStore(never, opening.get, onServer)
  const [, render] = useReducer((count: number) => count + 1, 0)
  useEffect(() => {
    // Not at once: what a server sent may not be taken over yet.
    const stop = opening.subscribe(() => startTransition(render))
    if (opening.get()) startTransition(render)
    return stop
  }, [opening])
  if (opened instanceof Failure) throw opened.cause
  const store = (given as Store | undefined) ?? opened
  const value = useMemo(() => ({ store, suspense }), [store, suspense])
  const below = suspense ? createElement(Suspense, { fallback }, children) : children
  return createElement(Context.Provider, { value }, store || early ? below : fallback)
}

/**
 * The store of the provider above.
 * @throws `INVALID_ARGUMENT` when there is no provider, or its store is not open yet, unless it is `optional`
 * @example
 *     const store = useStore<string, Todo>()
 *     <button onClick={() => store.set(id, { text, done: true })}>
 */
export function useStore<K extends Key = Key, V = unknown>(): Store<K, V>
export function useStore<K extends Key = Key, V = unknown>(options: {
  readonly optional: boolean
}): Store<K, V> | undefined
export function useStore(options?: { readonly optional: boolean }): Store | undefined {
  const { store } = useContext(Context)
  if (store || options?.optional) return store
  throw invalid(
    'There is no open store: render below a <TidemarkProvider>, without `early`, or ask for useStore({ optional: true }).',
  )
}

/**
 * The entries of a range, kept up to date: the same array until something in it changes, and the same entry until its value
 * does. It is empty until they are read. Of the provider's store, or of the store, table or partition that is given.
 * @throws to the error boundary: `INVALID_ARGUMENT` when the source or an option is wrong, and what prevents reading
 * @example
 *     const todos = useEntries<string, Todo>({ prefix: 'todo-' })
 *     const users = useEntries(store.table<string, User>('users'), { limit: 10 })
 */
export function useEntries<K extends Key = Key, V = unknown>(range?: EntriesOptions<K>): readonly (readonly [K, V])[]
export function useEntries<K extends Key, V>(
  source: Table<K, V> | undefined,
  range?: EntriesOptions<K>,
): readonly (readonly [K, V])[]
export function useEntries(...given: readonly unknown[]): readonly unknown[] {
  const [source, options = {}] = useSource(given, given.length > 1)
  const { suspense, ...range } = checkOptions('useEntries', options as EntriesOptions<never>, hookRules, true)
  return useLive(source, keyOf(range), () => source!.live(range as LiveOptions<Key>), suspense)
}

/**
 * The value of a key, kept up to date; `undefined` when there is none, and until it is read. Of the provider's store, or of the
 * store, table or partition that is given. A key of `undefined` stands for none: then nothing is read.
 * @throws to the error boundary: `INVALID_ARGUMENT` when the source, the key or an option is wrong, and what prevents reading
 * @example
 *     const theme = useValue<string, string>('theme')
 *     const user = useValue(store.table<string, User>('users'), selectedId) // undefined as long as nobody is selected
 */
export function useValue<K extends Key = Key, V = unknown>(key: K | undefined, options?: ValueOptions): V | undefined
export function useValue<K extends Key, V>(
  source: Table<K, V> | undefined,
  key: K | undefined,
  options?: HookOptions,
): V | undefined
export function useValue(...given: readonly unknown[]): unknown {
  const [source, key, options = {}] = useSource(given, given[0] === undefined)
  const { suspense, table } = checkOptions('useValue', options as ValueOptions, valueRules)
  const range = { gte: key, lte: key, limit: 1, table } as LiveOptions<never>
  // Without a key it would be the whole range.
  const of = key === undefined ? undefined : source
  return useLive(of, keyOf(range), () => of!.live(range as LiveOptions<Key>), suspense)[0]?.[1]
}

/**
 * The entries of a range of an index, kept up to date, as `useEntries` has them.
 * @throws as `useEntries`
 * @example
 *     const due = useIndex(store.table<string, Todo>('todos', { indexes }), 'byDue', { lt: tomorrow })
 */
export function useIndex<R, E>(table: Indexed<R, E> | undefined, name: string, range?: R & HookOptions): readonly E[] {
  if (table !== undefined && typeof (Object(table) as Partial<Indexed<R, E>>).index !== 'function')
    throw invalid('useIndex: a table, or undefined, is expected first.')
  const given: Partial<R> & HookOptions = range === undefined ? {} : range
  const { suspense, ...bounds } = checkOptions('useIndex', given, hookRules, true)
  return useLive(table, keyOf([name, bounds]), () => table!.index(name).live(bounds as R), suspense)
}

/**
 * The newest version of the provider's store, or of the one that is given, that this program knows of; 0 until it is open.
 * @example
 *     <footer>Version {useVersion()}</footer>
 */
export function useVersion(given?: AnyStore): number {
  const { store } = useContext(Context)
  const of = (given as Store | undefined) ?? store
  const subscribe = useCallback((changed: () => void) => of?.on('version', changed) ?? onServer, [of])
  const get = (): number => of?.version ?? 0
  return useSyncExternalStore(subscribe, get, () => 0)
}

/** What a hook was given, with the source first: the provider's store, where none is given. */
function useSource(
  given: readonly unknown[],
  isGiven: boolean,
): readonly [source: Table | undefined, ...rest: unknown[]] {
  const { store } = useContext(Context)
  const [first] = given
  const isSource = typeof (first as Partial<Table> | null | undefined)?.live === 'function'
  if (isGiven && !isSource && first !== undefined)
    throw invalid('A store, a table, a partition or undefined is expected before the range.')
  return (isGiven || isSource ? given : [store, ...given]) as [Table | undefined, ...unknown[]]
}

function useLive<E>(
  source: object | undefined,
  key: string,
  make: () => Live<E>,
  suspense: boolean | undefined,
): readonly E[] {
  const { suspense: byDefault } = useContext(Context)
  const subscribe = useCallback(
    (changed: () => void) => (source ? sharedLive(source, key, make).subscribe(changed) : onServer),
    // By these `make` makes the same.
    [source, key],
  )
  const get = (): readonly E[] | Failure | Promise<void> =>
    source ? sharedLive(source, key, make).state(suspense ?? byDefault) : NOTHING
  const state = useSyncExternalStore(subscribe, get, () => NOTHING)
  if (state instanceof Failure) throw state.cause
  // React takes a promise for a wait.
  if ('then' in state) throw state as unknown as Error
  return state
}
