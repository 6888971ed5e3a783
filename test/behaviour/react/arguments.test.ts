// @vitest-environment jsdom
/** What the hooks of `tidemark/react` are given: no key yet, and what is wrong. */
import type { ReactNode } from 'react'
import { describe, expect, test, vi } from 'vitest'
import type { Store } from 'tidemark'
import { reactTests, type ReactWorld } from '../../support/react-bundle.js'

describe.each([18, 19] as const)('React %i', (version) => {
  let world!: ReactWorld
  const open = reactTests(version, (made) => (world = made))

  const h = (type: unknown, props: object = {}, ...children: ReactNode[]): ReactNode =>
    world.React.createElement(type as string, props, ...children)
  const provider = (store: Store, child: ReactNode): ReactNode => h(world.Hooks.TidemarkProvider, { store }, child)
  const shown = (): string => document.body.textContent

  test('a key of undefined shows undefined and reads nothing, until there is one', async () => {
    const store = await open()
    const users = store.table<string, string>('users')
    await users.write(['a', 'b'].map((key) => ({ type: 'put', key, value: key })))
    await store.set('a', 'A')
    const ranges: unknown[] = []
    const source = new Proxy(users, {
      get(table, name) {
        const member = Reflect.get(table, name, table) as unknown
        if (name !== 'live') return member
        return (range: object) => (ranges.push(range), table.live(range))
      },
    })
    const { useValue } = world.Hooks
    const All = ({ name }: { name: string | undefined }): ReactNode => {
      const wait = { suspense: true }
      const values = [useValue(source, name), useValue(source, name, wait), useValue(name, wait), useValue(name)]
      return [...values, useValue(undefined), useValue(undefined, 'a')].map(String).join()
    }
    const app = (name: string | undefined): ReactNode => provider(store, h(All, { name }))
    const { rerender } = world.Testing.render(app(undefined))
    expect(shown()).toBe(Array(6).fill('undefined').join())
    expect(ranges).toEqual([])
    rerender(app('a'))
    expect(shown()).toBe('a,a,A,A,undefined,undefined')
    expect(ranges).toEqual([{ gte: 'a', lte: 'a', limit: 1, table: undefined }])
    rerender(app(undefined))
    expect(shown()).toBe(Array(6).fill('undefined').join())
  })

  test('hooks say what is wrong with what they are given', async () => {
    const noise = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    // React 18 has the page tell of each, too.
    const quiet = (event: Event): void => event.preventDefault()
    window.addEventListener('error', quiet)
    const store = await open()
    const { useEntries, useIndex, useValue } = world.Hooks as unknown as Record<
      string,
      (...given: unknown[]) => unknown
    >
    const wrong: (() => unknown)[] = [
      () => useEntries!(null),
      () => useEntries!('a'),
      () => useEntries!(store, null),
      () => useEntries!(null, {}),
      () => useEntries!({ suspense: 1 }),
      () => useValue!('a', null),
      () => useValue!(null, 'a'),
      () => useValue!(store, 'a', null),
      () => useValue!('a', { tabel: 't' }),
      () => useIndex!(null, 'byDue'),
      () => useIndex!({}, 'byDue'),
      () => useIndex!(store, 'byDue', null),
    ]
    for (const hook of wrong) {
      const Wrong = (): ReactNode => String(hook())
      let caught: unknown
      try {
        world.Testing.render(provider(store, h(Wrong)))
      } catch (error) {
        caught = error
      }
      expect(caught).toMatchObject({ code: 'INVALID_ARGUMENT' })
      expect(String(caught)).toMatch(/is expected|there is no option/)
      world.Testing.cleanup()
    }
    window.removeEventListener('error', quiet)
    noise.mockRestore()
    // A key may be null.
    await store.set(null, 'of null')
    const Right = (): ReactNode => `${String(useValue!(null))} ${String(useValue!(store, null))}`
    world.Testing.render(provider(store, h(Right)))
    expect(shown()).toBe('of null of null')
  })
})
