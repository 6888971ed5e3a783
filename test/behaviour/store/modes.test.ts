/** The mode of a store is recorded for as long as somebody writes it. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { openStore, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { exportZip, importZip, pull, push } from 'tidemark/transfer'
import { verify } from 'tidemark/tools'
import { faulty } from 'tidemark/testing'
import { code } from '../../support/shared.js'
import { adapters } from '../../support/storages.js'

async function open(storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store<string, number>> {
  const store = await openStore<string, number>({ storage, name: 's', logger: false, ...(options as object) })
  onTestFinished(() => store.close())
  return store
}

const exclusive = { mode: 'exclusive' } as const
const shared = { mode: 'shared' } as const

const memoryOf = (mode: 'shared' | undefined, isRemote = false): Storage => {
  const storage = memory()
  return { ...storage, capabilities: { ...storage.capabilities, mode, isRemote } }
}

describe.each(adapters)('on $adapter()', ({ make }) => {
  test('a store that was closed is opened in another mode without force, as often as one likes', async () => {
    const storage = make()
    for (const [i, mode] of (
      ['exclusive', 'shared', 'exclusive', 'exclusive', 'shared', 'shared', 'exclusive'] as const
    ).entries()) {
      const store = await open(storage, { mode })
      expect(await store.update('n', (n = 0) => n + 1)).toBe(i + 1)
      await store.close()
    }
    const { damages, orphans } = await verify({ storage, name: 's' })
    expect([damages, orphans.count]).toEqual([[], 0])
  })

  test('one that somebody still writes is not, until the last one has closed it', async () => {
    const storage = make()
    const [a, b] = [await open(storage, shared), await open(storage, shared)]
    await a.set('a', 1)
    await b.set('b', 1)
    await a.close()
    await expect(open(storage, exclusive)).rejects.toThrow(code('CONFLICT'))
    await b.close()
    const owner = await open(storage, exclusive)
    await expect(open(storage, shared)).rejects.toThrow(code('CONFLICT'))
    await owner.set('c', 1)
    await owner.close()
    expect(await (await open(storage, shared)).count()).toBe(3)
  })
})

test('a writer that crashed has not closed it: another mode takes force', async () => {
  const storage = memory()
  await open(storage, exclusive)
  await expect(open(storage, shared)).rejects.toThrow(/CONFLICT|has not closed it/)
  const forced = await open(storage, { ...shared, force: true })
  await forced.set('a', 1)
  await forced.close()
  await open(storage, exclusive)
})

test('one whose last write is in doubt has not closed it either', async () => {
  let isLost = false
  const storage = faulty(memory(), ({ method }) =>
    isLost && method !== 'get' && method !== 'put' ? 'unknown-before' : undefined,
  )
  const store = await open(storage, { ...shared, timeoutMs: 20 })
  await store.set('a', 1)
  isLost = true
  await expect(store.set('b', 1)).rejects.toThrow(code('UNKNOWN_OUTCOME'))
  await store.close()
  isLost = false
  await expect(open(storage, exclusive)).rejects.toThrow(code('CONFLICT'))
})

test('without room for the mark close() goes well, and another mode takes force', async () => {
  let isFull = false
  const storage = faulty(memory(), ({ method }) => (isFull && method === 'put' ? 'quota' : undefined))
  const store = await open(storage, exclusive)
  isFull = true
  await store.close()
  await expect(open(storage, shared)).rejects.toThrow(code('CONFLICT'))
})

test('a fenced owner leaves no mark, and what its successor closes is closed', async () => {
  const storage = memory()
  const first = await open(storage, exclusive)
  const second = await open(storage, exclusive)
  await expect(first.set('a', 1)).rejects.toThrow(code('FENCED'))
  await first.close()
  await expect(open(storage, shared)).rejects.toThrow(code('CONFLICT'))
  await second.close()
  await open(storage, shared)
})

test('forks, pulled and imported stores are opened in any mode; pushing into one in another mode takes force while it is written', async () => {
  const storage = memory()
  const store = await open(storage, exclusive)
  await store.set('a', 1)
  await store.fork('forked')
  await open(storage, { ...shared, name: 'forked' })
  const place = { storage: memory(), name: 's' }
  await pull(place, { storage, name: 's' })
  const writer = await open(place.storage, shared)
  await writer.set('b', 1)
  await store.set('a', 2)
  await expect(push({ storage, name: 's' }, place)).rejects.toThrow(code('CONFLICT'))
  await writer.close()
  await push({ storage, name: 's' }, { ...place, name: 'other' })
  await push({ storage, name: 's' }, place, { force: true })
  await (await open(place.storage, shared)).close()
  const chunks: Uint8Array[] = []
  for await (const chunk of exportZip({ storage, name: 's' })) chunks.push(chunk)
  await importZip(new Blob(chunks as Uint8Array<ArrayBuffer>[]).stream(), { storage: place.storage, name: 'unpacked' })
  await open(place.storage, { ...shared, name: 'unpacked' })
})

test('where a handle lives as long as a request, shared ones leave no mark, and count as gone when they are quiet for graceMs', async () => {
  const storage = memoryOf(undefined, true)
  const store = await open(storage, { ...shared, graceMs: 5 })
  await store.set('a', 1)
  await store.close()
  expect((await storage.blobs.list('')).items.filter(({ name }) => name.includes('/closed/'))).toEqual([])
  await expect(open(storage, exclusive)).rejects.toThrow(code('CONFLICT'))
  await expect.poll(() => open(storage, { ...exclusive, graceMs: 5 })).toBeDefined()
})

test('marks that nobody asks for any more are removed', async () => {
  const storage = memory()
  for (let i = 0; i < 80; i++) {
    const store = await open(storage, { ...shared, retain: { versions: 1 }, checkpoint: { entries: 2 }, graceMs: 1 })
    await store.set('a', i)
    await store.close()
  }
  const store = await open(storage, { ...shared, retain: { versions: 1 }, checkpoint: { entries: 2 }, graceMs: 1 })
  for (let i = 0; i < 8; i++) {
    await store.set('a', i)
    await store.checkpoint()
    await store.maintain()
  }
  const marks = (await storage.blobs.list('')).items.filter(({ name }) => name.includes('/closed/'))
  expect(marks.length).toBeLessThan(40)
})

test('without mode a store is opened as its storage says', async () => {
  for (const [mode, expected] of [
    ['shared', 'shared'],
    [undefined, 'exclusive'],
  ] as const) {
    const storage = memoryOf(mode)
    const first = await open(storage)
    expect([first.mode, first.modeDefault]).toEqual([expected, expected])
    const second = await open(storage)
    await second.set('a', 1)
    const writing = first.set('b', 1)
    if (expected === 'shared') await writing
    else await expect(writing).rejects.toThrow(code('FENCED'))
    const other = await open(memoryOf(mode), { mode: 'follower', name: 'x', create: undefined }).catch(
      (error: unknown) => error,
    )
    expect(other).toMatchObject({ code: 'NOT_FOUND' })
  }
})
