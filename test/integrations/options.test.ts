/** What drivers refuse when they are made: what is no object, an option that there is none of, and a value that is not what it is to be. */
import session from 'express-session'
import { describe, expect, test } from 'vitest'
import { isTidemarkError, openStore, type Store } from 'tidemark'
import { KeyvTidemark } from 'tidemark/keyv'
import { TidemarkLevel } from 'tidemark/level'
import { memory } from 'tidemark/memory'
import { expressStore, honoSession } from 'tidemark/session'
import { tidemarkDriver } from 'tidemark/unstorage'
import { sharedPersist, webStorage } from 'tidemark/web-storage'

type Make = (store: Store, options?: never) => unknown

/** Why it is refused; `undefined` when it is not. */
async function refusal(make: Make, options: unknown): Promise<string | undefined> {
  const store = (await openStore({ storage: memory(), name: 's' })) as Store
  try {
    make(store, options as never)
    return undefined
  } catch (error) {
    if (isTidemarkError(error) && error.code === 'INVALID_ARGUMENT') return error.message
    throw error
  } finally {
    await store.close()
  }
}

const makers: Record<string, Make> = {
  KeyvTidemark: (store, options) => new KeyvTidemark(store, options),
  tidemarkDriver: (store, options) => tidemarkDriver(store, options),
  expressStore: (store, options) => expressStore(session, store, options),
  honoSession: (store, options) => honoSession(store, options),
  webStorage: (store, options) => webStorage(store, options),
  // It is the one that needs an option.
  sharedPersist: (store, options: unknown) =>
    sharedPersist(store, (typeof options === 'object' && options ? { name: 'n', ...options } : options) as never),
  TidemarkLevel: (store, options) => new TidemarkLevel(store, options),
}

describe.each(Object.entries(makers))('%s', (what, make) => {
  test.each([null, 'table', 5, () => undefined])('refuses %s in place of options', async (options) => {
    expect(await refusal(make, options)).toBe(`${what}: an object with options is expected.`)
  })

  test('refuses what is no name of a table', async () => {
    for (const table of [5, null, 'ä'.repeat(128)]) {
      expect(await refusal(make, { table })).toBe(`${what}: table: a name of at most 255 bytes is expected.`)
    }
    expect(await refusal(make, { table: 'ä'.repeat(127) })).toBeUndefined()
    expect(await refusal(make, { table: undefined })).toBeUndefined()
  })

  test('refuses a storage that is none, before anything is opened', () => {
    for (const storage of [null, 5, undefined]) {
      expect(() => make({ storage, name: 'x' } as never, {} as never)).toThrow('An open store')
    }
  })
})

test('an option that there is none of is refused, but for those that abstract-level checks', async () => {
  const { TidemarkLevel: level, ...others } = makers
  for (const [what, make] of Object.entries(others)) {
    expect(await refusal(make, { tabel: 't' })).toContain(`${what}: there is no option "tabel"; there are `)
  }
  expect(await refusal(others['KeyvTidemark']!, { tabel: 't' })).toContain('there are table, fresh.')
  expect(await refusal(level!, { valueEncoding: 'json', tabel: 't' })).toBeUndefined()
})

test.each<[what: string, wrong: object[], fine: object[]]>([
  ['KeyvTidemark', [{ fresh: 1 }, { fresh: null }], [{ fresh: true }, { fresh: undefined }]],
  ['tidemarkDriver', [{ fresh: 'yes' }], [{ fresh: false }]],
  [
    'expressStore',
    [NaN, -5, 0, Infinity, '60', 2 ** 51].map((ttlMs) => ({ ttlMs })),
    [{ ttlMs: 0.5 }, { ttlMs: 2 ** 50 }],
  ],
  ['honoSession', [NaN, -5, 0, Infinity].map((ttlMs) => ({ ttlMs })), [{ ttlMs: 60_000 }]],
  [
    'honoSession',
    ['lax', '', null, 'Lax; Domain=a'].map((sameSite) => ({ sameSite })),
    ['Lax', 'Strict', 'None'].map((sameSite) => ({ sameSite })),
  ],
  ['honoSession', ['a b;c', '', 'a=b', 5, 'ä'].map((cookie) => ({ cookie })), [{ cookie: '__Host-sid' }]],
  ['honoSession', ['', 'app', '/a;b', '/a b', '/\n', 5].map((path) => ({ path })), [{ path: '/' }, { path: '/a/~b' }]],
  ['honoSession', ['a.example; Path=/', '', 5].map((domain) => ({ domain })), [{ domain: '.a-1.example' }]],
  ['honoSession', [{ secure: 1 }], [{ secure: false }]],
  ['sharedPersist', [{ name: undefined }, { name: 5 }, { partialize: 'n' }, { onError: null }], [{ onError: () => 0 }]],
])('%s says what %j are to be', async (what, wrong, fine) => {
  for (const options of wrong) {
    const [name] = Object.keys(options)
    expect(await refusal(makers[what]!, options)).toMatch(new RegExp(`^${what}: ${name}: .* is expected\\.$`))
  }
  for (const options of fine) expect(await refusal(makers[what]!, options)).toBeUndefined()
})

test('sharedPersist needs options, with a name', async () => {
  for (const options of [undefined, {}]) {
    expect(await refusal((store) => sharedPersist(store, options as never), {})).toContain('is expected')
  }
})
