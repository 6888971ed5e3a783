// @vitest-environment jsdom
/** `tidemark/react` under both versions of React that it is for. */
import type { ReactNode } from 'react'
import { describe, expect, test, vi } from 'vitest'
import type { Storage, Store } from 'tidemark'
import { settle } from '../../support/until.js'
import { reactTests, type ReactWorld } from '../../support/react-bundle.js'

describe.each([18, 19] as const)('React %i', (version) => {
  let world!: ReactWorld
  const open = reactTests(version, (made) => (world = made))

  const h = (type: unknown, props: object = {}, ...children: ReactNode[]): ReactNode =>
    world.React.createElement(type as string, props, ...children)
  const provider = (props: object, ...children: ReactNode[]): ReactNode =>
    h(world.Hooks.TidemarkProvider, props, ...children)

  /** Waits for it, and for what React does meanwhile. */
  async function eventually(check: () => boolean): Promise<void> {
    for (let i = 0; i < 2_000 && !check(); i++) await world.Testing.act(() => settle())
    expect(check()).toBe(true)
  }

  const shown = (): string => document.body.textContent

  /** An error boundary that shows the code of what it caught. */
  function makeBoundary(): { readonly type: unknown; caught: unknown } {
    const boundary: { type: unknown; caught: unknown } = { type: undefined, caught: undefined }
    boundary.type = class extends world.React.Component<{ children: ReactNode }, { error?: unknown }> {
      override state: { error?: unknown } = {}
      static getDerivedStateFromError(error: unknown): { error: unknown } {
        boundary.caught = error
        return { error }
      }
      override render(): ReactNode {
        const { error } = this.state
        return error === undefined ? this.props.children : `failed: ${(error as { code: string }).code}`
      }
    }
    return boundary
  }

  test('it is this version', () => {
    expect(world.React.version.split('.')[0]).toBe(String(version))
  })

  test('one of 10,000 rows is changed: the list and this row are rendered once more, and nothing else', async () => {
    const store = await open()
    await store.write(Array.from({ length: 10_000 }, (_, key) => ({ type: 'put', key, value: key })))
    const counts = { lists: 0, rows: 0, others: 0 }
    const Row = world.React.memo(({ entry }: { entry: readonly [unknown, unknown] }) => {
      counts.rows++
      return h('i', {}, String(entry[1]))
    })
    const List = (): ReactNode => {
      counts.lists++
      const entries = world.Hooks.useEntries(store)
      return entries.map((entry) => h(Row, { key: String(entry[0]), entry }))
    }
    const Other = (): ReactNode => {
      counts.others++
      return String(world.Hooks.useValue(store, 7))
    }
    world.Testing.render(h('div', {}, h(List), h(Other)))
    expect(counts).toEqual({ lists: 1, rows: 10_000, others: 1 })
    await world.Testing.act(async () => {
      await store.set(5_000, 'changed')
      await settle()
    })
    expect(shown()).toContain('changed')
    expect(counts).toEqual({ lists: 2, rows: 10_001, others: 1 })
    await world.Testing.act(async () => {
      await store.checkpoint()
      await settle()
    })
    expect(counts).toEqual({ lists: 2, rows: 10_001, others: 1 })
  })

  test('a value renders those who show it, and what is known is there at the first render', async () => {
    const store = await open({ cacheBytes: 0 })
    const users = store.table<string, string>('users')
    await users.write(['a', 'b'].map((key) => ({ type: 'put', key, value: key })))
    await store.checkpoint()
    const renders: string[] = []
    const Value = ({ name }: { name: string }): ReactNode => {
      // Made anew at each render, as programs do.
      const value = world.Hooks.useValue(world.Hooks.useStore().table<string, string>('users'), name)
      renders.push(`${name}: ${value}`)
      return `${name}=${value} `
    }
    const Two = ({ more }: { more: boolean }): ReactNode =>
      provider(
        { store },
        h(Value, { name: 'a', key: 1 }),
        h(Value, { name: 'b', key: 2 }),
        more && h(Value, { name: 'a', key: 3 }),
      )
    const { rerender, unmount } = world.Testing.render(h(Two, { more: false }))
    await eventually(() => shown() === 'a=a b=b ')
    renders.length = 0
    await world.Testing.act(async () => void (await users.set('a', 'A')))
    await eventually(() => shown() === 'a=A b=b ')
    expect(renders).toEqual(['a: A'])
    renders.length = 0
    rerender(h(Two, { more: true }))
    expect(renders.filter((line) => line.startsWith('a'))).toEqual(['a: A', 'a: A'])
    // Gone and back again within a moment.
    unmount()
    renders.length = 0
    world.Testing.render(h(Two, { more: false }))
    expect(renders).toEqual(['a: A', 'b: b'])
  })

  test('a range may change, and a source may come later', async () => {
    const store = await open()
    await store.write([1, 2, 3].map((key) => ({ type: 'put', key, value: `v${key}` })))
    const List = ({ of, from }: { of?: Store; from: number }): ReactNode =>
      world.Hooks.useEntries(of, { gte: from, reverse: true, limit: 2 })
        .map(([, value]) => value as string)
        .join()
    const { rerender } = world.Testing.render(h(List, { from: 1 }))
    expect(shown()).toBe('')
    rerender(h(List, { of: store, from: 1 }))
    expect(shown()).toBe('v3,v2')
    rerender(h(List, { of: store, from: 3 }))
    expect(shown()).toBe('v3')
    await world.Testing.act(async () => {
      await store.set(4, 'v4')
      await settle()
    })
    expect(shown()).toBe('v4,v3')
  })

  test('a provider opens a store once, whatever StrictMode and fast remounts do, and closes it when it has gone', async () => {
    const storage = world.memory()
    const seen = new Set<Store>()
    const warnings: unknown[] = []
    const logger = { warn: (message: string) => void warnings.push(message) }
    const Count = (): ReactNode => {
      const store = world.Hooks.useStore()
      seen.add(store)
      return `n = ${String(world.Hooks.useValue('n'))}, version ${world.Hooks.useVersion()}`
    }
    // Two of them share it, and the options are made anew at each render.
    const App = (): ReactNode =>
      h(
        world.React.StrictMode,
        {},
        provider({ storage, name: 's', logger, fallback: 'opening' }, h(Count)),
        provider({ storage, name: 's', logger }, ' and more'),
      )
    const first = world.Testing.render(h(App))
    expect(shown()).toBe('opening')
    await eventually(() => shown().startsWith('n = undefined'))
    const [store] = [...seen] as [Store]
    await world.Testing.act(async () => {
      await store.set('n', 1)
      await settle()
    })
    expect(shown()).toBe(`n = 1, version ${store.version} and more`)
    first.unmount()
    const second = world.Testing.render(h(App))
    expect(shown()).toBe(`n = 1, version ${store.version} and more`)
    await world.Testing.act(async () => {
      await settle()
      await store.set('n', 2)
      await settle()
    })
    expect(seen.size).toBe(1)
    second.unmount()
    await eventually(() => {
      try {
        store.put('n', 3)
        return false
      } catch (error) {
        return (error as { code: string }).code === 'CLOSED'
      }
    })
    // Another object for the same storage: the one before is closed first, and nobody is fenced.
    const third = world.Testing.render(h(App))
    await eventually(() => shown().startsWith('n = 2'))
    third.unmount()
    world.Testing.render(provider({ storage: { ...storage }, name: 's', logger }, h(Count)))
    await eventually(() => shown().startsWith('n = 2'))
    expect(seen.size).toBe(3)
    await world.Testing.act(async () => void (await [...seen][2]!.set('n', 3)))
    await eventually(() => shown().startsWith('n = 3'))
    expect(warnings.filter((message) => !String(message).includes('uncommitted'))).toEqual([])
  })

  test('with suspense the fallback is shown until all is there, and never an empty list', async () => {
    const storage = world.memory()
    const before = await open({ storage })
    await before.write([1, 2, 3].map((key) => ({ type: 'put', key, value: key })))
    await before.checkpoint()
    await before.close()
    const texts: string[] = []
    const List = (): ReactNode => {
      const entries = world.Hooks.useEntries()
      const text = `${entries.length} entries`
      texts.push(text)
      return text
    }
    world.Testing.render(provider({ storage, name: 's', cacheBytes: 0, suspense: true, fallback: 'loading' }, h(List)))
    expect(shown()).toBe('loading')
    await eventually(() => shown() === '3 entries')
    expect(new Set(texts)).toEqual(new Set(['3 entries']))
  })

  test('without a provider, or too early, useStore() says what to do', async () => {
    const store = await open()
    const noise = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const Wrong = (): ReactNode => world.Hooks.useStore().name
    const Right = (): ReactNode => String(world.Hooks.useStore({ optional: true })?.name)
    expect(() => world.Testing.render(h(Wrong))).toThrow('TidemarkProvider')
    noise.mockRestore()
    world.Testing.render(h('div', {}, h(Right), provider({ store }, h(Right), h(Wrong))))
    expect(shown()).toBe('undefinedss')
  })

  test('errors go to an error boundary: of opening, of options, and of reading', async () => {
    const noise = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const boundary = makeBoundary()
    const within = (child: ReactNode): ReactNode => h(boundary.type, {}, child)
    world.Testing.render(within(provider({ storage: world.memory(), name: 'none', create: false }, 'never')))
    await eventually(() => shown() === 'failed: NOT_FOUND')
    world.Testing.cleanup()

    const storage = world.memory()
    const writer = await open({ storage })
    const codec = { id: 'other', encode: () => new Uint8Array(1), decode: () => 'decoded' }
    await writer.table('t', { codec }).set('a', 'b')
    const follower = await open({ storage, mode: 'follower' })
    const List = ({ range }: { range: object }): ReactNode => String(world.Hooks.useEntries(follower, range))
    world.Testing.render(within(h(List, { range: { limit: -1 } })))
    await eventually(() => shown() === 'failed: INVALID_ARGUMENT')
    world.Testing.cleanup()
    for (const suspense of [false, true]) {
      world.Testing.render(within(h(world.React.Suspense, {}, h(List, { range: { table: 't', suspense } }))))
      await eventually(() => shown() === 'failed: INVALID_ARGUMENT')
      expect(String(boundary.caught)).toContain('codec')
      world.Testing.cleanup()
    }
    noise.mockRestore()
  })

  test('on a server nothing is touched, and what it sent is taken over without a warning', async () => {
    const storage = world.memory()
    const before = await open({ storage })
    await before.set('a', 'there')
    await before.close()
    let touched = 0
    const All = (): ReactNode => {
      const store = world.Hooks.useStore({ optional: true })
      const entries = world.Hooks.useEntries<string, string>({ prefix: 'a' })
      return `${store?.name ?? 'none'}: ${entries.length} ${world.Hooks.useValue<string, string>('a') ?? 'nothing'} ${world.Hooks.useVersion()}`
    }
    const noise = vi.spyOn(console, 'error')
    for (const [props, first] of [
      [{ early: true }, 'none: 0 nothing 0'],
      [{ early: true, suspense: true, fallback: 'waiting' }, 'none: 0 nothing 0'],
      [{ fallback: 'waiting' }, 'waiting'],
    ] as const) {
      const watched = new Proxy(storage, {
        get(target, name) {
          touched++
          return Reflect.get(target, name) as unknown
        },
      }) as Storage
      const app = h(world.React.StrictMode, {}, provider({ storage: watched, name: 's', ...props }, h('b', {}, h(All))))
      touched = 0
      const html = world.Server.renderToString(app)
      expect(html.replaceAll(/<[^>]*>/g, '')).toBe(first)
      expect(touched).toBe(0)
      document.body.innerHTML = `<main>${html}</main>`
      const container = document.body.firstElementChild as HTMLElement
      world.Testing.render(app as never, { container, hydrate: true })
      expect(container.textContent).toBe(first)
      await eventually(() => /^s: 1 there \d+$/.test(container.textContent))
      world.Testing.cleanup()
      await world.Testing.act(() => settle())
    }
    expect(noise.mock.calls).toEqual([])
    noise.mockRestore()
  })

  test('an index is shown in its order, and rendered again only when its rows have changed', async () => {
    const store = await open()
    interface Todo {
      readonly due: number
    }
    const todos = store.table<string, Todo>('todos', { indexes: { byDue: (todo: Todo) => todo.due } })
    await todos.write(['a', 'b', 'c', 'd'].map((key, i) => ({ type: 'put', key, value: { due: 40 - i * 10 } })))
    let renders = 0
    const List = (): ReactNode => {
      renders++
      return world.Hooks.useIndex(todos, 'byDue', { limit: 3 })
        .map(([due, key]) => `${String(key)}${String(due)}`)
        .join()
    }
    const Other = (): ReactNode => String(world.Hooks.useIndex(todos, 'byDue', { gte: 40 }).length)
    world.Testing.render(h('p', {}, h(List), ' ', h(Other)))
    await eventually(() => shown() === 'd10,c20,b30 1')
    renders = 0
    await world.Testing.act(async () => {
      // Behind the rows that are shown.
      await todos.set('a', { due: 50 })
      await settle()
    })
    await eventually(() => shown() === 'd10,c20,b30 1')
    expect(renders).toBe(0)
    await world.Testing.act(async () => void (await todos.set('a', { due: 5 })))
    await eventually(() => shown() === 'a5,d10,c20 0')
    await world.Testing.act(async () => void (await todos.remove('d')))
    await eventually(() => shown() === 'a5,c20,b30 0')
    expect(renders).toBe(2)
  })
})
