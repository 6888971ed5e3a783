/** Indexes of tables: reads in their order, and that they are never ahead of the rows nor behind. */
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  openStore,
  systemClock,
  type Clock,
  type Key,
  type OpenOptions,
  type Storage,
  type Store,
  type Table,
} from 'tidemark'
import { memory } from 'tidemark/memory'
import { verify } from 'tidemark/tools'
import { pull } from 'tidemark/transfer'
import { code, outcomes } from '../../support/shared.js'
import { adapters, collect } from '../../support/storages.js'

interface Todo {
  readonly due?: number | Date | undefined
  readonly tags?: readonly string[]
  readonly email?: string
}

const INDEXES = {
  byDue: (todo: Todo) => todo.due,
  byTag: { key: (todo: Todo) => todo.tags, many: true },
  byEmail: { key: (todo: Todo) => todo.email, unique: true },
}

async function open(storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> {
  const store = await openStore({ storage, name: 's', logger: false, ...options })
  onTestFinished(() => store.close())
  return store
}

const todosOf = (store: Pick<Store, 'table'>, indexes: object | null = INDEXES): Table<string, Todo> =>
  store.table<string, Todo>('todos', indexes ? { indexes: indexes as never } : {})

async function fresh(options: Partial<OpenOptions> = {}): Promise<[Store, Table<string, Todo>]> {
  const store = await open(memory(), options)
  return [store, todosOf(store)]
}

const byDue = async (todos: Table<string, Todo>, range = {}): Promise<unknown[]> =>
  (await todos.index('byDue').toArray(range)).map(([due, key]) => [due, key])

describe.each(adapters)('on $adapter()', ({ make }) => {
  test('a table is read in the order of its indexes', async () => {
    const store = await open(make(), { partitions: 3 })
    const todos = todosOf(store)
    await todos.write([
      { type: 'put', key: 'a', value: { due: 3, tags: ['x', 'y', 'x'] } },
      { type: 'put', key: 'b', value: { due: 1, tags: [], email: 'b@' } },
      { type: 'put', key: 'c', value: { due: 2, tags: ['y'], email: 'c@' } },
      { type: 'put', key: 'd', value: { tags: ['z'] } },
      { type: 'put', key: 'e', value: { due: 2 } },
    ])
    expect(await byDue(todos)).toEqual([
      [1, 'b'],
      [2, 'c'],
      [2, 'e'],
      [3, 'a'],
    ])
    expect(await byDue(todos, { gte: 2, lt: 3 })).toEqual([
      [2, 'c'],
      [2, 'e'],
    ])
    expect(await byDue(todos, { gt: 2 })).toEqual([[3, 'a']])
    expect(await byDue(todos, { lte: 2, reverse: true, limit: 2 })).toEqual([
      [2, 'e'],
      [2, 'c'],
    ])
    expect(await todos.index('byTag').toArray()).toEqual([
      ['x', 'a', { due: 3, tags: ['x', 'y', 'x'] }],
      ['y', 'a', { due: 3, tags: ['x', 'y', 'x'] }],
      ['y', 'c', { due: 2, tags: ['y'], email: 'c@' }],
      ['z', 'd', { tags: ['z'] }],
    ])
    const emails = todos.index<string>('byEmail')
    expect(await emails.first({ gte: 'c@', lte: 'c@' })).toMatchObject(['c@', 'c', {}])
    expect(await emails.last()).toMatchObject(['c@', 'c', {}])
    expect([
      await emails.count(),
      await emails.count({ prefix: 'b' }),
      await todos.index('byTag').count({ prefix: 'y' }),
    ]).toEqual([2, 1, 2])
    expect(await collect(todos.index('byDue').entries({ limit: 1 }))).toMatchObject([[1, 'b', { email: 'b@' }]])
    await store.checkpoint()
    await store.reopen()
    expect(await byDue(todosOf(store))).toHaveLength(4)
  })
})

test('keys of every kind are index keys, in their order', async () => {
  const store = await open(memory())
  const table = store.table<number, { k: Key }>('t', { indexes: { k: (value) => value.k } })
  const keys: Key[] = [
    null,
    false,
    true,
    -1,
    2,
    3n,
    new Date(5),
    '',
    'a',
    'a\0',
    'a\0b',
    'b',
    new Uint8Array([0, 1]),
    [1],
    [1, 'a'],
    [1, ['a', 2]],
  ]
  await table.write(keys.map((k, i) => ({ type: 'put', key: i, value: { k } })))
  expect((await table.index('k').toArray()).map(([, key]) => key)).toEqual(keys.map((_, i) => i))
  const at = async (range: object): Promise<number[]> => (await table.index('k').toArray(range)).map(([, key]) => key)
  for (const [i, k] of keys.entries()) {
    expect(await at({ gte: k, lte: k })).toEqual([i])
    expect(await at({ gt: k })).toEqual(keys.map((_, n) => n).slice(i + 1))
    expect(await at({ lt: k })).toEqual(keys.map((_, n) => n).slice(0, i))
  }
  expect(await at({ prefix: 'a' })).toEqual([8, 9, 10])
  expect(await at({ prefix: 'a\0' })).toEqual([9, 10])
  expect(await at({ prefix: [1] })).toEqual([13, 14, 15])
  expect(await at({ prefix: [1, 'a'] })).toEqual([14])
  await expect(table.index('k').toArray({ prefix: 3 as never })).rejects.toThrow(code('INVALID_ARGUMENT'))
})

test('reads show what is buffered and on its way', async () => {
  const [store, todos] = await fresh({ partitions: 2 })
  await todos.set('a', { due: 1 })
  await todos.set('b', { due: 2 })
  todos.put('c', { due: 0 })
  todos.delete('a')
  todos.put('b', { due: 5 })
  expect(await byDue(todos)).toEqual([
    [0, 'c'],
    [5, 'b'],
  ])
  const committing = store.commit()
  expect(await byDue(todos)).toEqual([
    [0, 'c'],
    [5, 'b'],
  ])
  await committing
  todos.deleteRange({ gte: 'c' })
  expect(await byDue(todos)).toEqual([[5, 'b']])
  store.discard()
  expect(await byDue(todos)).toHaveLength(2)
  todos.clear()
  todos.put('z', { due: 9 })
  expect(await byDue(todos)).toEqual([[9, 'z']])
})

test('an iteration shows the state of its first step', async () => {
  const [store, todos] = await fresh()
  for (let i = 0; i < 200; i++) todos.put(`k${i}`, { due: i })
  await store.commit()
  await todos.index('byDue').count()
  const iteration = todos.index('byDue').entries()
  const first = iteration.next()
  todos.put('k0', { due: 999 })
  todos.delete('k100')
  await first
  await store.commit()
  expect((await collect(iteration)).map(([due]) => due)).toEqual(Array.from({ length: 199 }, (_, i) => i + 1))
})

test('in a transaction, and through a partition, an index shows what these show', async () => {
  const [store, todos] = await fresh({ partitions: 2 })
  await todos.set('a', { due: 1 })
  await store.transaction(async (tx) => {
    const own = tx.table<string, Todo>('todos')
    own.put('b', { due: 0 })
    expect(await byDue(own)).toEqual([
      [0, 'b'],
      [1, 'a'],
    ])
  })
  const place = (i: number): Table<string, Todo> => store.partition(i).table<string, Todo>('todos')
  await place(1).set('here', { due: 7 })
  expect(await byDue(place(1), { gte: 7 })).toEqual([[7, 'here']])
  expect(await byDue(place(0), { gte: 7 })).toEqual([])
  expect(await todos.index('byDue').toArray({ gte: 7 })).toEqual([[7, 'here', { due: 7 }]])
})

test('unique: the later of two rows is refused with both keys, and the earlier stands', async () => {
  const [store, todos] = await fresh({ partitions: 3 })
  await todos.set('a', { email: 'x@' })
  await expect(todos.set('b', { email: 'x@' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(/"byEmail".*"a".*"x@".*"b"/) as string,
  })
  expect(await todos.get('b')).toBeUndefined()
  // In the order of the entry, whatever is called at once.
  expect(
    await outcomes(todos.set('c', { email: 'y@' }), todos.set('d', { email: 'y@' }), todos.set('e', { email: 'z@' })),
  ).toEqual(['done', 'INVALID_ARGUMENT', 'done'])
  // Two rows may change places in one commit.
  todos.put('a', { email: 'y@' })
  todos.put('c', { email: 'x@' })
  await store.commit()
  todos.put('f', { email: 'x@' })
  todos.put('g', { email: 'new@' })
  await expect(store.commit()).rejects.toThrow(code('INVALID_ARGUMENT'))
  // Nothing is lost: the changes are buffered again.
  expect(await todos.get('g')).toEqual({ email: 'new@' })
  todos.delete('f')
  await store.commit()
  expect((await todos.index('byEmail').toArray()).map(([email, key]) => [email, key])).toEqual([
    ['new@', 'g'],
    ['x@', 'c'],
    ['y@', 'a'],
    ['z@', 'e'],
  ])
  await todos.remove('c')
  await todos.set('f', { email: 'x@' })
  await expect(store.transaction((tx) => tx.table('todos').put('h', { email: 'x@' }))).rejects.toThrow(
    code('INVALID_ARGUMENT'),
  )
})

test('a commit that falls because of one in front of it keeps its changes, in their order', async () => {
  const [store, todos] = await fresh()
  await todos.set('a', { email: 'x@' })
  todos.put('b', { email: 'x@' })
  todos.put('k', { due: 1 })
  const first = store.commit()
  todos.put('k', { due: 2 })
  const second = store.commit()
  const own = todos.set('own', { due: 3 })
  const updated = todos.update('u', async () => ({ due: 4 }))
  expect(await outcomes(first, second, own, updated)).toEqual(['INVALID_ARGUMENT', 'INVALID_ARGUMENT', 'done', 'done'])
  todos.delete('b')
  await store.commit()
  expect(await byDue(todos)).toEqual([
    [2, 'k'],
    [3, 'own'],
    [4, 'u'],
  ])
})

test('an index key that is none refuses its own call, and names the row', async () => {
  const store = await open(memory())
  const table = store.table<string, { k: unknown }>('t', {
    indexes: {
      k: (value) => {
        if (value.k === 'throw') throw new Error('no')
        return value.k as Key
      },
    },
  })
  const bad = [Number.NaN, 'throw', {}, Promise.resolve(1), 'x'.repeat(65_535)].map((k, i) =>
    table.set(`row ${i}`, { k: k instanceof Promise ? 'p' : k }),
  )
  const settled = await Promise.allSettled([...bad, table.set('good', { k: 1 })])
  expect(settled.map(({ status }) => status)).toEqual([
    'rejected',
    'rejected',
    'rejected',
    'fulfilled',
    'rejected',
    'fulfilled',
  ])
  expect((settled[1] as PromiseRejectedResult).reason).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(/"k".*"row 1"/) as string,
  })
  expect(await table.count()).toBe(2)
})

test('wrong indexes are refused when the table is opened', async () => {
  const store = await open(memory())
  for (const indexes of [
    { a: 1 },
    { a: {} },
    { a: { key: () => 1, many: 'x' } },
    { a: { key: () => 1, unique: 1 } },
    { a: { key: () => 1, uniqe: true } },
    5,
    null,
    [],
    new Map(),
    { '': () => 1 },
  ]) {
    expect(() => store.table('t', { indexes: indexes as never })).toThrow(code('INVALID_ARGUMENT'))
  }
  expect(() => todosOf(store).index('none')).toThrow(code('INVALID_ARGUMENT'))
  expect(() => store.table('x'.repeat(250), { indexes: { 'a long name': () => 1 } })).toThrow(code('INVALID_ARGUMENT'))
  const long = store.table('x'.repeat(250), { indexes: { ab: () => 1 } })
  await long.set('a', 1)
  expect(await long.index('ab').count()).toBe(1)
})

test('an index that is new to the data is built when the table is opened, with progress', async () => {
  const storage = memory()
  const store = await open(storage, { partitions: 2 })
  const plain = todosOf(store, null)
  for (let i = 0; i < 9000; i++) plain.put(`k${i}`, { due: i % 100 })
  await store.commit()
  const { version } = store
  await store.close()
  const again = await open(storage)
  const progress: unknown[] = []
  again.on('index', (detail) => progress.push(detail))
  const todos = todosOf(again)
  // Until it is there it is computed.
  expect(await todos.index('byDue').count({ gte: 42, lte: 42 })).toBe(90)
  await expect.poll(() => progress.filter((each) => (each as { done: boolean }).done)).toHaveLength(2)
  expect(progress.length).toBeGreaterThan(2)
  expect(progress.reduce((sum: number, each) => sum + (each as { rows: number }).rows, 0)).toBe(9000)
  // It is no version.
  expect(again.version).toBe(version)
  expect(await todos.index('byDue').count({ gte: 42, lte: 42 })).toBe(90)
})

test('the first commit to a table with an index finds it built, however many rows there are', async () => {
  const storage = memory()
  const store = await open(storage)
  const plain = todosOf(store, null)
  for (let i = 0; i < 9000; i++) plain.put(`k${i}`, { email: `${i}@` })
  await store.commit()
  await store.close()
  const again = await open(storage)
  const todos = todosOf(again)
  await expect(todos.set('late', { email: '8999@' })).rejects.toThrow(/"k8999"/)
  await todos.set('late', { email: 'late@' })
  expect(await todos.index('byEmail').count()).toBe(9001)
})

test('an index that the next writer leaves out is dropped with its first commit, and built again by who has it', async () => {
  const storage = memory()
  const store = await open(storage, { mode: 'shared' })
  const todos = todosOf(store)
  await todos.set('a', { due: 1 })
  const other = await open(storage, { mode: 'shared' })
  await todosOf(other, null).set('b', { due: 2 })
  await store.refresh()
  expect(await byDue(todos)).toEqual([
    [1, 'a'],
    [2, 'b'],
  ])
  await todos.set('c', { due: 0 })
  expect(await byDue(todos)).toEqual([
    [0, 'c'],
    [1, 'a'],
    [2, 'b'],
  ])
  // One of several.
  await todosOf(other, { byTag: INDEXES.byTag }).set('d', { due: 7, tags: ['t'] })
  await store.refresh()
  expect(await byDue(todos, { gt: 2 })).toEqual([[7, 'd']])
})

test('an index that cannot be built of the rows is told, and commits go on without it', async () => {
  const storage = memory()
  const store = await open(storage)
  await todosOf(store, null).set('a', { due: NaN })
  await store.close()
  const again = await open(storage)
  const warnings: string[] = []
  again.on('warning', ({ message }) => warnings.push(message))
  const todos = todosOf(again)
  await todos.set('c', { email: 'c@' })
  expect(warnings[0]).toMatch(/cannot be built/)
  expect(() => todos.index('byEmail')).toThrow(/"a"/)
  await todos.remove('a')
  const mended = todosOf(again)
  expect(await mended.index('byEmail').count()).toBe(1)
})

test('rows that have one key before their unique index is there stay as they are, and no other row gets it', async () => {
  const storage = memory()
  const store = await open(storage)
  const plain = todosOf(store, null)
  for (const key of ['a', 'b']) await plain.set(key, { email: 'x@' })
  await store.close()
  const again = await open(storage)
  const warnings: string[] = []
  again.on('warning', ({ message }) => warnings.push(message))
  const todos = todosOf(again)
  await todos.set('c', { email: 'c@' })
  expect(warnings).toEqual([expect.stringMatching(/unique.*"a".*"x@".*"b"/)])
  const holders = async (): Promise<unknown[]> =>
    (await todos.index('byEmail').toArray({ gte: 'x@', lte: 'x@' })).map(([, key]) => key)
  expect(await holders()).toEqual(['a', 'b'])
  // What does not change the key may be changed.
  expect(await todos.update('b', (row) => ({ ...row, due: 1 }))).toEqual({ email: 'x@', due: 1 })
  await todos.touch('a', { ttlMs: 60_000 })
  expect(await outcomes(todos.set('d', { email: 'x@' }), todos.set('c', { email: 'x@' }))).toEqual([
    'INVALID_ARGUMENT',
    'INVALID_ARGUMENT',
  ])
  await todos.remove('a')
  expect(await outcomes(todos.set('d', { email: 'x@' }))).toEqual(['INVALID_ARGUMENT'])
  await todos.set('b', { email: 'b@' })
  await todos.set('d', { email: 'x@' })
  expect(await holders()).toEqual(['d'])
  await again.close()
  await verify({ storage, name: 's' })
})

test('rows that have one unique key since some partitions were restored stay, and can be changed', async () => {
  const store = await open(memory(), { partitions: 2 })
  const todos = todosOf(store)
  const [one, two] = [0, 1].map((i) => store.partition(i).table<string, Todo>('todos', { indexes: INDEXES as never }))
  await one!.set('k', { email: 'same' })
  const { version } = store
  await one!.set('k', { email: 'other' })
  await two!.set('l', { email: 'same' })
  await store.restore(version, { partitions: [0] })
  expect(await todos.index('byEmail').count({ gte: 'same', lte: 'same' })).toBe(2)
  expect(await one!.update('k', (row) => ({ ...row, due: 1 }))).toEqual({ email: 'same', due: 1 })
  expect(await outcomes(one!.set('m', { email: 'same' }), two!.set('m', { email: 'same' }))).toEqual([
    'INVALID_ARGUMENT',
    'INVALID_ARGUMENT',
  ])
  expect(await byDue(todos)).toEqual([[1, 'k']])
})

test('a row that comes back after it had expired does not get its unique key back from another row', async () => {
  let passed = 0
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + passed }
  const [, todos] = await fresh({ clock })
  await todos.set('a', { email: 'x@' }, { ttlMs: 1000 })
  passed += 2000
  await todos.set('b', { email: 'x@' })
  expect(await outcomes(todos.set('a', { email: 'x@' }, { ttlMs: 1000 }))).toEqual(['INVALID_ARGUMENT'])
  expect((await todos.index('byEmail').toArray()).map(([, key]) => key)).toEqual(['b'])
})

test('what is read of an index is as it was at the call, though the part that reads it is loaded only then', async () => {
  const [, todos] = await fresh()
  await todos.set('a', { due: 1 })
  const reading = todos.index('byDue').count()
  todos.clear()
  expect([await reading, await todos.index('byDue').count()]).toEqual([1, 0])
})

test('a partition is the same object each time, and so are its tables', async () => {
  const store = await open(memory(), { partitions: 2 })
  const table = (): unknown => store.partition(1).table('todos', { indexes: INDEXES as never })
  expect(store.partition(1)).toBe(store.partition(1))
  expect(table()).toBe(table())
})

test('rows that expire are gone from the index at the same moment', async () => {
  let passed = 0
  const clock: Clock = {
    ...systemClock,
    now: () => systemClock.now() + passed,
    monotonic: () => systemClock.monotonic() + passed,
  }
  const [store, todos] = await fresh({ clock })
  todos.put('soon', { due: 1, email: 'x@' }, { ttlMs: 1000 })
  todos.put('later', { due: 2 }, { ttlMs: 5000 })
  todos.put('never', { due: 3 })
  expect(await byDue(todos)).toHaveLength(3)
  await store.commit()
  const { version } = store
  passed += 2000
  expect((await byDue(todos)).map((row) => (row as unknown[])[1])).toEqual(['later', 'never'])
  // The key of one that has expired is free.
  await todos.set('other', { email: 'x@' })
  await todos.touch('later', { ttlMs: 60_000 })
  passed += 10_000
  await store.checkpoint()
  expect((await byDue(todos)).map((row) => (row as unknown[])[1])).toEqual(['later', 'never'])
  await todos.set('later', { due: 2 })
  passed += 100_000
  expect(await byDue(todos)).toHaveLength(2)
  const past = await store.at(version)
  expect(await byDue(todosOf(past))).toHaveLength(3)
})

test('old versions have the indexes of then; one that they lack is computed', async () => {
  const storage = memory()
  const store = await open(storage, { partitions: 2 })
  await todosOf(store, null).set('a', { due: 5 })
  const before = store.version
  const todos = todosOf(store)
  await todos.set('b', { due: 1 })
  const then = store.version
  await todos.set('a', { due: 0 })
  expect(await byDue(todosOf(await store.at(before)))).toEqual([[5, 'a']])
  expect(await byDue(todosOf(await store.at(then)))).toEqual([
    [1, 'b'],
    [5, 'a'],
  ])
  const follower = await open(storage, { mode: 'follower' })
  expect(await byDue(todosOf(follower))).toEqual([
    [0, 'a'],
    [1, 'b'],
  ])
  const { undo } = await store.restore(before)
  expect(await byDue(todos)).toEqual([[5, 'a']])
  await todos.set('c', { due: 2 })
  expect(await byDue(todos)).toEqual([
    [2, 'c'],
    [5, 'a'],
  ])
  await store.restore(undo)
  expect(await byDue(todos)).toHaveLength(2)
})

test('a restore of some partitions, a fork and a copy have indexes that fit their rows', async () => {
  const storage = memory()
  const store = await open(storage, { partitions: 2 })
  const in0 = store.partition(0).table<string, Todo>('todos', { indexes: INDEXES as never })
  const in1 = store.partition(1).table<string, Todo>('todos')
  await in0.set('a', { due: 1 })
  await in1.set('b', { due: 2 })
  const { version } = store
  await in0.set('a', { due: 11 })
  await in1.set('b', { due: 12 })
  await store.restore(version, { partitions: [1] })
  expect(await byDue(store.table('todos'))).toEqual([
    [2, 'b'],
    [11, 'a'],
  ])
  await in1.set('b', { due: 0 })
  await store.fork('f')
  await in1.set('b', { due: 20 })
  const fork = await open(storage, { name: 'f' })
  const forked = todosOf(fork)
  expect(await byDue(forked)).toEqual([
    [0, 'b'],
    [11, 'a'],
  ])
  const place = { storage: memory(), name: 'copy' }
  await pull(place, { storage, name: 's' })
  const copy = await open(place.storage, { name: 'copy' })
  expect(await byDue(todosOf(copy))).toEqual([
    [11, 'a'],
    [20, 'b'],
  ])
})

test('a commit that goes into segments at once is indexed like any other', async () => {
  const [store, todos] = await fresh({ checkpoint: { bytes: 4000 } })
  await todos.set('k1', { due: -1 })
  for (let i = 0; i < 1000; i++) todos.put(`k${i}`, { due: i })
  await store.commit()
  expect(await todos.index('byDue').count()).toBe(1000)
  expect(await byDue(todos, { lt: 2 })).toEqual([
    [0, 'k0'],
    [1, 'k1'],
  ])
  todos.clear()
  await store.commit()
  expect(await todos.index('byDue').count()).toBe(0)
})
