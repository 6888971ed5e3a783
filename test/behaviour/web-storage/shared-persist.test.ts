/** A zustand state that several handles share, as several tabs do. */
import { afterEach, describe, expect, test } from 'vitest'
import { openStore, systemClock, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty } from 'tidemark/testing'
import { sharedPersist, type Backing, type SharedPersist, type SharedPersistOptions } from 'tidemark/web-storage'
import { createStore, type StoreApi } from 'zustand/vanilla'
import { intercept } from '../../../src/storage/intercept.js'
import { gate } from '../../support/shared.js'
import { settle, until } from '../../support/until.js'

interface State {
  n: number
  theme?: string | undefined
  todos: readonly { readonly text: string }[]
  local: number
  add: () => void
}

interface Tab {
  readonly shared: SharedPersist<State>
  readonly state: StoreApi<State>
  readonly errors: unknown[]
}

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

async function open(storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> {
  const store = await openStore({ storage, name: 's', mode: 'shared', followMs: 2, logger: false, ...options })
  ends.push(() => store.close())
  return store as Store
}

function tab(backing: Backing, options: Partial<SharedPersistOptions<State>> = {}): Tab {
  const errors: unknown[] = []
  const shared = sharedPersist<State>(backing, { name: 'app', onError: (error) => errors.push(error), ...options })
  const state = createStore<State>()(
    shared.persist((set) => ({
      n: 0,
      theme: 'light',
      todos: [],
      local: 0,
      add: () => set(({ n, local }) => ({ n: n + 1, local: local + 1 })),
    })),
  )
  ends.unshift(() => shared.close())
  return { shared, state, errors }
}

const own = { partialize: ({ n, theme, todos }: State) => ({ n, theme, todos }) } as const

test('ten tabs, a thousand increments each: exactly 10,000, in all of them and in what is stored', async () => {
  const storage = memory()
  const tabs = await Promise.all(Array.from({ length: 10 }, async () => tab(await open(storage), own)))
  await Promise.all(
    tabs.map(async ({ shared, state }, i) => {
      for (let j = 0; j < 1_000; j++) {
        state.getState().add()
        // Some of them wait now and then, and some never do.
        if (i % 3 > 0 && j % (10 * i) === 0) await systemClock.pause()
      }
      await shared.committed()
    }),
  )
  await until(() => tabs.every(({ state }) => state.getState().n === 10_000))
  expect(tabs.map(({ state }) => state.getState().n)).toEqual(tabs.map(() => 10_000))
  expect(tabs.map(({ state }) => state.getState().local)).toEqual(tabs.map(() => 1_000))
  expect(tabs.flatMap(({ errors }) => errors)).toEqual([])
  const late = tab(await open(storage), own)
  await late.shared.ready
  expect(late.state.getState()).toMatchObject({ n: 10_000, local: 0 })
}, 120_000)

test('an update during a slow start is shown at once, and neither is lost nor loses what was stored', async () => {
  const storage = memory()
  const before = tab(await open(storage))
  before.state.setState({ n: 5, theme: 'dark' })
  await before.shared.committed()
  const opening = gate()
  opening.shut()
  const slow = intercept(storage, async (call, run) => opening.passed.then(() => run(call.signal)))
  const after = tab({ storage: slow, name: 's', mode: 'shared', followMs: 2, logger: false })
  after.state.getState().add()
  after.state.setState({ todos: [{ text: 'early' }] })
  expect(after.state.getState()).toMatchObject({ n: 1, theme: 'light', todos: [{ text: 'early' }] })
  await settle()
  opening.open()
  await after.shared.ready
  const all = { n: 6, theme: 'dark', todos: [{ text: 'early' }] }
  expect(after.state.getState()).toMatchObject(all)
  await after.shared.committed()
  await until(() => before.state.getState().n === 6)
  expect(before.state.getState()).toMatchObject(all)
})

test('two tabs do not overwrite each other’s fields, what stays the same is the same object, and nothing flickers', async () => {
  const storage = memory()
  const [one, two] = [tab(await open(storage), own), tab(await open(storage), own)]
  await Promise.all([one.shared.ready, two.shared.ready])
  const seen: number[] = []
  one.state.subscribe(({ n }) => seen.push(n))
  one.state.setState({ todos: [{ text: 'a' }], local: 7 })
  const { todos } = one.state.getState()
  two.state.setState({ theme: 'dark' })
  for (let i = 0; i < 20; i++) one.state.getState().add()
  await Promise.all([one.shared.committed(), two.shared.committed()])
  const all = { n: 20, theme: 'dark', todos: [{ text: 'a' }] }
  await until(() => [one, two].every(({ state }) => state.getState().n === 20 && state.getState().theme === 'dark'))
  expect(one.state.getState()).toMatchObject(all)
  expect(two.state.getState()).toMatchObject({ ...all, local: 0 })
  expect(one.state.getState().todos).toBe(todos)
  expect(one.state.getState().local).toBe(27)
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  // What is taken away is taken away for all of them, although it has an initial value.
  two.state.setState({ theme: undefined })
  await until(() => one.state.getState().theme === undefined)
  const late = tab(await open(storage), own)
  await late.shared.ready
  expect(late.state.getState().theme).toBe(undefined)
  // Functional updates are done one after the other.
  for (const { state } of [one, two, late]) state.setState(({ todos: has }) => ({ todos: [...has, { text: 'more' }] }))
  await until(() => [one, two, late].every(({ state }) => state.getState().todos.length === 4))
  const { add } = one.state.getState()
  one.state.setState({ n: 1, todos: [], local: 0, add }, true)
  await until(() => two.state.getState().n === 1)
  expect(two.state.getState().todos).toEqual([])
})

describe('what goes wrong', () => {
  test('an update that cannot be stored is undone, and reported; those around it are stored', async () => {
    const storage = memory()
    const { shared, state, errors } = tab(await open(storage))
    await shared.ready
    state.getState().add()
    state.setState({ theme: (() => 'no value') as never, todos: [{ text: (() => 'neither') as never }] })
    state.getState().add()
    await shared.committed()
    expect(state.getState()).toMatchObject({ n: 2, todos: [] })
    expect(errors.map((error) => (error as { code: string }).code)).toEqual(['INVALID_ARGUMENT'])
    // One that works on what is shown, and not on what others have stored meanwhile.
    const other = tab(await open(storage))
    await other.shared.ready
    let isFirst = true
    other.state.setState(({ n }) => {
      if (!isFirst) throw new Error('mine')
      isFirst = false
      return { n: n + 100 }
    })
    other.state.getState().add()
    await other.shared.committed()
    expect(other.state.getState().n).toBe(3)
    expect(other.errors.map(String)).toEqual(['Error: mine'])
  })

  test('each counts once although it is unknown whether it was stored', async () => {
    let way: 'error-before' | 'error-after' | undefined
    const storage = faulty(memory(), ({ target, method }) => {
      if (target !== 'log' || method !== 'append') return undefined
      const now = way
      way = undefined
      return now
    })
    const { shared, state, errors } = tab({ storage, name: 's', mode: 'shared', followMs: 2, logger: false })
    await shared.ready
    for (const failing of ['error-after', 'error-before', undefined, 'error-after'] as const) {
      state.getState().add()
      await shared.committed()
      way = failing
      for (let i = 0; i < 3; i++) state.getState().add()
      await shared.committed()
    }
    expect(state.getState().n).toBe(16)
    const other = tab(await open(storage))
    await other.shared.ready
    expect(other.state.getState().n).toBe(16)
    expect(errors.every((error) => (error as { code: string }).code !== 'INVALID_ARGUMENT')).toBe(true)
  })

  test('a store that cannot be opened at first is tried again', async () => {
    let isBroken = true
    const storage = faulty(memory(), () => (isBroken ? 'error-before' : undefined))
    const { shared, state, errors } = tab({ storage, name: 's', logger: false })
    state.getState().add()
    await until(() => errors.length > 0)
    isBroken = false
    await shared.committed()
    expect(state.getState().n).toBe(1)
    await shared.close()
    state.getState().add()
    expect(state.getState().n).toBe(2)
    await shared.committed()
  })
})
