/** Versions of a table's values, and their upgrade. */
import { expect, onTestFinished, test, vi } from 'vitest'
import { openStore, type OpenOptions, type Storage, type Store, type Table, type TableOptions } from 'tidemark'
import { memory } from 'tidemark/memory'
import { diff } from 'tidemark/tools'
import { code } from '../../support/shared.js'
import { collect } from '../../support/storages.js'

interface Old {
  readonly name: string
}
interface New {
  readonly first: string
  readonly last: string
}

async function open(storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> {
  const store = await openStore({ storage, name: 's', logger: false, ...options })
  onTestFinished(() => store.close())
  return store
}

const upgrade = (value: unknown, from: number): New => {
  expect(from).toBe(1)
  const [first, last] = (value as Old).name.split(' ') as [string, string]
  return { first, last }
}
const SECOND: TableOptions<New> = { version: 2, upgrade: upgrade as never }
const users = (store: Store, options: TableOptions<New> = SECOND): Table<string, New> =>
  store.table<string, New>('users', options)

async function withOld(storage: Storage): Promise<void> {
  const store = await open(storage)
  const old = store.table<string, Old>('users')
  await old.write([
    { type: 'put', key: 'a', value: { name: 'Ann Lee' } },
    { type: 'put', key: 'b', value: { name: 'Bob Ray' } },
  ])
  await store.checkpoint()
  await old.set('c', { name: 'Cem Day' })
  await store.close()
}

test('old values are upgraded when they are read, and stored so at their next write', async () => {
  const storage = memory()
  await withOld(storage)
  const store = await open(storage)
  const table = users(store)
  expect(await table.get('a')).toEqual({ first: 'Ann', last: 'Lee' })
  expect(await table.toArray({ gte: 'b' })).toEqual([
    ['b', { first: 'Bob', last: 'Ray' }],
    ['c', { first: 'Cem', last: 'Day' }],
  ])
  await table.update('a', (user) => ({ ...user!, last: 'Low' }))
  await table.set('d', { first: 'Di', last: 'Fox' })
  await table.touch('b', { ttlMs: 1_000_000 })
  await store.checkpoint()
  await store.close()
  const spy = vi.fn(upgrade)
  const again = users(await open(storage), { version: 2, upgrade: spy as never })
  expect(await again.toArray()).toEqual([
    ['a', { first: 'Ann', last: 'Low' }],
    ['b', { first: 'Bob', last: 'Ray' }],
    ['c', { first: 'Cem', last: 'Day' }],
    ['d', { first: 'Di', last: 'Fox' }],
  ])
  expect(spy.mock.calls.map(([value]) => (value as Old).name).sort()).toEqual(['Bob Ray', 'Cem Day'])
})

test('older code is refused once a value of a later version is written, and not before', async () => {
  const storage = memory()
  await withOld(storage)
  const [newer, older] = [
    await open(storage, { mode: 'shared', force: true }),
    await open(storage, { mode: 'shared', force: true }),
  ]
  const old = older.table<string, Old>('users')
  expect(await users(newer).get('a')).toEqual({ first: 'Ann', last: 'Lee' })
  await old.set('e', { name: 'Eve Orr' })
  await users(newer).set('d', { first: 'Di', last: 'Fox' })
  old.put('f', { name: 'Fay Fox' })
  await expect(older.commit()).rejects.toThrow(/CONFLICT|later version/)
  await expect(old.get('a')).rejects.toThrow(code('UNSUPPORTED_FORMAT'))
  expect(() => old.put('f', { name: 'x' })).toThrow(code('UNSUPPORTED_FORMAT'))
  const third = await open(storage, { mode: 'follower' })
  expect(() => third.table('users')).toThrow(code('UNSUPPORTED_FORMAT'))
  expect(
    await users(third, {
      version: 3,
      upgrade: (value: New | Old, from: number) => (from === 1 ? upgrade(value, 1) : (value as New)),
    } as never).get('d'),
  ).toEqual({ first: 'Di', last: 'Fox' })
  // What older code wrote before is there.
  await newer.refresh()
  expect(await users(newer).get('e')).toEqual({ first: 'Eve', last: 'Orr' })
})

test('newer code goes on top of what older code has written meanwhile', async () => {
  const storage = memory()
  const [newer, older] = [await open(storage, { mode: 'shared' }), await open(storage, { mode: 'shared' })]
  const table = users(newer)
  table.put('d', { first: 'Di', last: 'Fox' })
  await older.table<string, Old>('users').set('a', { name: 'Ann Lee' })
  await newer.commit()
  expect(await table.toArray()).toEqual([
    ['a', { first: 'Ann', last: 'Lee' }],
    ['d', { first: 'Di', last: 'Fox' }],
  ])
})

test('the default table, codecs of their own, watches, diffs, snapshots and indexes know versions', async () => {
  const storage = memory()
  const text = {
    id: 'text',
    encode: (value: string) => new TextEncoder().encode(value),
    decode: (bytes: Uint8Array) => new TextDecoder().decode(bytes),
  }
  const first = await openStore<string, string>({ storage, name: 's', codec: text })
  await first.set('a', 'one')
  const { version } = first
  await first.close()
  const options = {
    codec: text,
    version: 2,
    upgrade: ((value: string) => value.toUpperCase()) as never,
    indexes: { byText: (value: string) => value },
  }
  const store = await openStore<string, string>({ storage, name: 's', ...options })
  onTestFinished(() => store.close())
  const told: unknown[] = []
  store.watch({}, (changes) => void told.push(...changes))
  expect(await store.get('a')).toBe('ONE')
  await store.set('b', 'two')
  expect(await store.index('byText').toArray()).toEqual([
    ['ONE', 'a', 'ONE'],
    ['two', 'b', 'two'],
  ])
  await expect.poll(() => told).toEqual([{ key: 'b', after: 'two', version: store.version }])
  expect(await collect(diff(store, version, store.version))).toMatchObject([{ key: 'b', after: 'two' }])
  expect(await (await store.at(version)).get('a')).toBe('ONE')
  await expect(openStore({ storage, name: 's', codec: text })).rejects.toThrow(code('UNSUPPORTED_FORMAT'))
  await expect(openStore({ storage, name: 's' })).rejects.toThrow(code('INVALID_ARGUMENT'))
})

test('an index is built anew when the version of its table is raised', async () => {
  const storage = memory()
  const store = await open(storage)
  const old = store.table<string, Old>('users', { indexes: { byName: (user) => user.name } })
  await old.set('a', { name: 'Ann Lee' })
  await store.close()
  const again = await open(storage)
  const table = users(again, { ...SECOND, indexes: { byName: (user) => user.last } })
  await table.set('b', { first: 'Bo', last: 'Abe' })
  expect((await table.index('byName').toArray()).map(([name, key]) => [name, key])).toEqual([
    ['Abe', 'b'],
    ['Lee', 'a'],
  ])
})

test('wrong versions and upgrades are refused', async () => {
  const store = await open(memory())
  for (const options of [
    { version: 0 },
    { version: 1.5 },
    { version: 2 },
    { version: 2, upgrade: 1 },
    { version: '2' },
  ]) {
    expect(() => store.table('t', options as never)).toThrow(code('INVALID_ARGUMENT'))
  }
  store.table('t')
  expect(() => store.table('t', { version: 2, upgrade: () => 1 })).toThrow(code('INVALID_ARGUMENT'))
  expect(() => store.table('u', { codec: { id: 'a\0v2', encode: () => new Uint8Array(0), decode: () => 1 } })).toThrow(
    code('INVALID_ARGUMENT'),
  )
  const storage = memory()
  await withOld(storage)
  for (const bad of [
    () => undefined,
    () => Promise.resolve(1),
    () => {
      throw new Error('no')
    },
  ]) {
    const follower = await open(storage, { mode: 'follower' })
    await expect(users(follower, { version: 2, upgrade: bad as never }).get('a')).rejects.toThrow(
      code('INVALID_ARGUMENT'),
    )
  }
})
