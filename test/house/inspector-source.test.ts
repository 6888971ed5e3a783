/** What the inspector tells of a store that it has itself: pages, parts, values of any codec and size, damage. */
import { openStore, type Codec, type Key, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { expect, onTestFinished, test } from 'vitest'
import { rescale } from '../../src/group/rescale.js'
import { inspectorSource } from '../../src/inspector/local.js'
import type { InspectorRow, InspectorSource } from '../../src/inspector/source.js'

const upper: Codec<string> = {
  id: 'upper',
  encode: (value) => new TextEncoder().encode(value.toUpperCase()),
  decode: (bytes) => new TextDecoder().decode(bytes),
}

const all = { table: '', prefix: '' }

async function opened(options: Partial<Parameters<typeof openStore>[0]> = {}): Promise<Store> {
  const store = await openStore({ storage: memory(), name: 'orders', logger: false, ...options })
  onTestFinished(() => store.close())
  return store
}

async function allPages(source: InspectorSource, pair: readonly [number, number]): Promise<InspectorRow[][]> {
  const pages: InspectorRow[][] = []
  for (let from: string | undefined; ;) {
    const { rows, next } = await source.rows(all, pair, from)
    pages.push([...rows])
    if (next === undefined) return pages
    from = next
  }
}

test('pages have each key of either version once, in the order of keys', async () => {
  const store = await opened({ partitions: 3 })
  const keys: Key[] = [
    null,
    5,
    7n,
    'a',
    ['a', 1],
    new Uint8Array([1]),
    ...Array.from({ length: 200 }, (_, i) => `k${i}`),
  ]
  for (const [i, key] of keys.entries()) if (i % 3 !== 0) store.put(key, i)
  const { version: before } = await store.commit()
  for (const [i, key] of keys.entries()) {
    if (i % 3 === 0) store.put(key, i)
    else if (i % 3 === 1) store.delete(key)
  }
  const { version: after } = await store.commit()
  const pages = await allPages(inspectorSource(store, false), [before, after])
  // Its own order: that of a store which has all of them.
  const whole = await opened()
  for (const key of keys) whole.put(key, 0)
  await whole.commit()
  const [order] = [await allPages(inspectorSource(whole, false), [whole.version, whole.version])]
  expect(pages.flat().map(({ key }) => key)).toEqual(order.flat().map(({ key }) => key))
  expect(pages.flat().length).toBe(keys.length)
  expect(pages.every((rows) => rows.length <= 100)).toBe(true)
  const kinds = pages.flat().map((row) => `${'before' in row}${'after' in row}${row.differs}`)
  expect(new Set(kinds)).toEqual(new Set(['truefalsetrue', 'falsetruetrue', 'truetruefalse']))
})

test('an empty store has no keys and no parts, and nothing fails', async () => {
  const source = inspectorSource(await opened({ partitions: 2 }), false)
  const { version, runs, tables, partitions } = await source.facts()
  expect({ version, runs, tables, partitions }).toEqual({ version: 0, runs: [], tables: [], partitions: 2 })
  expect(await source.versions()).toEqual([])
  expect(await source.rows(all, [0, 0])).toEqual({ rows: [] })
  expect(await source.changes(all, [0, 0])).toEqual({ rows: [], more: false })
  expect(await source.counts('', 0)).toEqual([0, 0])
})

test('tail, segments and partitions are those of the store', async () => {
  const store = await opened({ partitions: 4, segmentBytes: 4096 })
  const source = inspectorSource(store, false)
  for (let i = 0; i < 2000; i++) store.put(i, crypto.randomUUID())
  await store.commit()
  await store.checkpoint()
  await store.set('one', 1)
  const { runs, tail, isSmall } = await source.facts()
  const segments = runs.flat()
  expect(segments.length).toBe(store.metrics().segments.live)
  expect(segments.length).toBeGreaterThan(4)
  expect(segments.reduce((sum, { records }) => sum + records, 0)).toBe(2000)
  expect([segments[0]!.partitions[0], segments.at(-1)!.partitions[1]]).toEqual([0, 3])
  expect(segments.every(({ bytes }) => bytes > 0)).toBe(true)
  expect(tail.length).toBe(1)
  expect(isSmall).toBe(true)
  const counts = await source.counts('', store.version)
  expect(counts).toEqual(await Promise.all([0, 1, 2, 3].map((i) => store.partition(i).count())))
})

test('a table is not opened by being shown: the program opens it later as it likes', async () => {
  const storage = memory()
  const first = await openStore({ storage, name: 'orders' })
  await first.table('users').set('ada', { name: 'Ada' })
  await first.table('notes', { codec: upper }).set('n', 'milk')
  await first.close()
  const store = await opened({ storage })
  const source = inspectorSource(store, false)
  const show = async (table: string) => (await source.rows({ table, prefix: '' }, [store.version, store.version])).rows
  expect((await source.facts()).tables).toEqual([
    { name: 'notes', codec: 'upper' },
    { name: 'users', codec: 'json' },
  ])
  expect(await show('users')).toMatchObject([{ key: '"ada"', after: '{"name":"Ada"}' }])
  expect(await show('notes')).toMatchObject([{ key: '"n"', after: '<4 bytes 4d494c4b>' }])
  expect(await show('none')).toEqual([])
  const users = store.table<string, object>('users', {
    version: 2,
    upgrade: (value) => ({ ...(value as object), email: '' }),
  })
  expect(await users.get('ada')).toEqual({ name: 'Ada', email: '' })
  store.table('notes', { codec: upper })
  // Values are shown as the program has them.
  expect(await show('users')).toMatchObject([{ after: '{"name":"Ada","email":""}' }])
  expect(await show('notes')).toMatchObject([{ after: '"MILK"' }])
})

test('a table of a large commit is known before it is folded', async () => {
  const store = await opened({ checkpoint: { entries: 64, bytes: 1000 } })
  const big = store.table('big')
  for (let i = 0; i < 100; i++) big.put(i, 'x'.repeat(100))
  await store.commit()
  const { tables, runs } = await inspectorSource(store, false).facts()
  expect(tables.map(({ name }) => name)).toEqual(['big'])
  expect(runs.flat().length).toBeGreaterThan(0)
})

test('large values are cut or named by their size, and still differ', async () => {
  const store = await opened()
  const source = inspectorSource(store, false)
  await store.set('cut', `${'x'.repeat(9000)}a`)
  const { version } = await store.set('large', 'y'.repeat(1 << 20))
  await store.set('cut', `${'x'.repeat(9000)}b`)
  const { rows } = await source.rows(all, [version, store.version])
  expect(rows.map(({ key, differs }) => [key, differs])).toEqual([
    ['"cut"', true],
    ['"large"', false],
  ])
  expect(rows[0]!.after).toMatch(/^"x{1998}…$/)
  expect(rows[1]!.after).toBe('<1.0 MiB, too large to show>')
})

test('one value that cannot be decoded hides no other, and text cannot turn the page around', async () => {
  const storage = memory()
  const broken: Codec<string> = { id: 'json', encode: () => Uint8Array.of(0x7b), decode: () => '' }
  const first = await openStore({ storage, name: 'orders', codec: broken })
  await first.set('broken', '')
  await first.close()
  const store = await opened({ storage })
  await store.set('\u202eevil', '\u202egnirts')
  const { rows } = await inspectorSource(store, false).rows(all, [store.version, store.version])
  expect(rows.map(({ key, after }) => [key, after])).toEqual([
    ['"broken"', '<1 byte 7b>'],
    ['"\\u202eevil"', '"\\u202egnirts"'],
  ])
})

test('damage that is mended is told of, and what cannot be mended is an error of its table alone', async () => {
  const storage = memory()
  const first = await openStore({ storage, name: 'orders', checkpoint: { entries: 64, bytes: 20_000 } })
  await first.set('mended', 1)
  await first.checkpoint()
  await first.set('mended', 2)
  // A commit of this size is in segments alone.
  const lost = first.table('lost')
  for (let i = 0; i < 1000; i++) lost.put(i, crypto.randomUUID())
  await first.commit()
  await first.close()
  const { items } = await storage.blobs.list('orders/')
  await storage.blobs.delete(items.filter(({ size }) => size > 0).map(({ name }) => name))
  const store = await opened({ storage, mode: 'follower' })
  const source = inspectorSource(store, false)
  let told = 0
  onTestFinished(source.watch(() => told++))
  const pair = [store.version, store.version] as const
  expect((await source.rows(all, pair)).rows).toMatchObject([{ key: '"mended"', after: '2' }])
  await expect.poll(() => told).toBeGreaterThan(0)
  expect((await source.facts()).warning).toMatch(/damage|missing/i)
  await expect(source.rows({ table: 'lost', prefix: '' }, pair)).rejects.toMatchObject({ code: 'CORRUPT' })
})

test('who watches is told of a newer version, until it stops', async () => {
  const store = await opened()
  const source = inspectorSource(store, true)
  let told = 0
  const stop = source.watch(() => told++)
  await store.set('a', 1)
  await expect.poll(() => told).toBeGreaterThan(0)
  expect((await source.facts()).warning).toBeUndefined()
  stop()
  const before = told
  await store.set('b', 1)
  expect(told).toBe(before)
})

test('another writer that takes the store over is told of', async () => {
  const storage = memory()
  const store = await opened({ storage })
  const source = inspectorSource(store, true)
  let told = 0
  onTestFinished(source.watch(() => told++))
  await store.set('a', 1)
  await opened({ storage })
  await expect(source.restore(store.version)).rejects.toMatchObject({ code: 'FENCED' })
  await expect.poll(async () => (await source.facts()).warning).toMatch(/writer/)
  await expect.poll(() => told).toBeGreaterThan(0)
})

test.each([
  ['all shards', undefined, 10],
  ['one shard', 0, 8],
])('of a store that was split, a handle on %s shows what it has', async (_, shard, keys) => {
  const storage = memory()
  const root = await openStore({ storage, name: 'orders', partitions: 4 })
  for (let i = 0; i < 10; i++) root.put(`k${i}`, i)
  await root.commit()
  await root.checkpoint()
  await root.set('k1', 'one')
  await root.close()
  await rescale({ storage, name: 'orders' }, { shards: 2 })
  const store = await opened({ storage, mode: 'follower', shard })
  const source = inspectorSource(store, false)
  expect((await source.facts()).partitions).toBe(4)
  const { version } = (await source.versions()).at(-1)!
  expect(version).toBe(store.version)
  const pages = await allPages(source, [version, version])
  expect(pages.flat()).toHaveLength(keys)
  expect(pages.flat()).toContainEqual({ key: '"k1"', before: '"one"', after: '"one"', differs: false })
  expect((await source.counts('', version)).reduce((sum, count) => sum + count, 0)).toBe(keys)
  expect(await source.changes(all, [version - 1, version])).toMatchObject({ more: false })
})
