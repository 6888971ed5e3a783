/** Stores of every kind are split and merged: with indexes, kept in memory, of a job, written by several, and in relaxed durability. */
import { openStore, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { temporaryFolder } from '../../support/storages.js'

const name = 's'
const ALL = { first: 0, last: 3 }

function open(storage: Storage, shard: number, options: Partial<OpenOptions> = {}): Promise<Store<string, number>> {
  return openStore<string, number>({ storage, name, shard, partitions: 4, mode: 'exclusive', ...(options as object) })
}

/** Some rows, of which some lie in segments. */
async function fill(store: Store<string, number>, from: number): Promise<void> {
  for (let i = from; i < from + 20; i++) store.put(`k${i}`, i)
  await store.commit()
  await store.checkpoint()
  for (let i = from; i < from + 10; i++) store.put(`k${i}`, i + 100)
  await store.commit()
}

async function rowsOf(
  storage: Storage,
  shards: readonly { readonly first: number }[],
  options = {},
): Promise<number[]> {
  const values: number[] = []
  for (const { first } of shards) {
    const store = await open(storage, first, options)
    for await (const [, value] of store.entries()) values.push(value)
    await store.close()
  }
  return values.sort((a, b) => a - b)
}

const EXPECTED = Array.from({ length: 20 }, (_, i) => (i < 10 ? i + 100 : i)).sort((a, b) => a - b)

test('indexes go along with the rows of their partitions', async () => {
  const storage = memory()
  const options = { indexes: { parity: (value: number) => (value % 2 === 1 ? 'odd' : 'even') } }
  const store = await openStore({ storage, name, partitions: 4, mode: 'exclusive' })
  const rows = store.table<number, number>('rows', options)
  for (let i = 0; i < 40; i++) rows.put(i, i)
  await store.commit()
  await store.checkpoint()
  for (let i = 0; i < 10; i++) rows.put(i, i + 1)
  await store.commit()
  await store.close()
  for (const count of [4, 3, 1]) {
    const shards = await rescale({ storage, name }, { shards: count })
    const odd: number[] = []
    for (const { first } of shards) {
      const opened = await openStore({ storage, name, shard: first, mode: 'exclusive' })
      const table = opened.table<number, number>('rows', options)
      for (const [, key] of await table.index('parity').toArray({ prefix: 'odd' })) odd.push(key)
      for await (const [key, value] of table.entries()) table.put(key, value)
      await opened.commit()
      await opened.close()
    }
    const expected = Array.from({ length: 40 }, (_, i) => i).filter((i) => (i < 10 ? i + 1 : i) % 2 === 1)
    expect(odd.sort((a, b) => a - b)).toEqual(expected)
  }
})

test.each([
  ['kept in memory', { resident: true }, () => memory()],
  ['of a job', { job: 'orders' }, () => memory()],
  ['written by several', { mode: 'shared' }, () => memory()],
  ['in relaxed durability', { durability: 'relaxed' }, () => nodeFs(temporaryFolder())],
] as const)('a store %s', async (_, options, make) => {
  const storage = make()
  const store = await open(storage, 0, options)
  await fill(store, 0)
  await store.close()
  for (const count of [4, 3, 1]) {
    const shards = await rescale({ storage, name }, { shards: count })
    expect(shards.at(-1)!.last).toBe(ALL.last)
    expect(await rowsOf(storage, shards, options)).toEqual(EXPECTED)
  }
  if ('job' in options) await expect(open(storage, 0, { job: 'others' })).rejects.toThrow(/job/)
})

test('two rescales at once end in one of the two, and lose nothing', async () => {
  const storage = memory()
  const store = await open(storage, 0)
  await fill(store, 0)
  await store.close()
  await Promise.all([2, 3, 4].map((shards) => rescale({ storage, name }, { shards })))
  const now = await rescale({ storage, name }, { shards: 1 })
  expect(await rowsOf(storage, now)).toEqual(EXPECTED)
})
