/** Opening and closing a store: who owns it, who follows it, which options are refused, and who makes it. */
import { expect, test } from 'vitest'
import { openStore, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { push } from 'tidemark/transfer'
import { intercept } from '../../../src/storage/intercept.js'
import { eachAdapter } from '../../support/counting.js'
import { adapters, collect } from '../../support/storages.js'

const code = (expected: string): unknown => expect.objectContaining({ code: expected })

eachAdapter(adapters, 'opening a store on %s', (make) => {
  const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
    openStore({ storage, name: 's', ...options })

  test('a second opener fences the first, which reads on but never writes again until reopen()', async () => {
    const storage = make()
    const first = await open(storage)
    const events: unknown[] = []
    first.on('fenced', (detail) => events.push(detail))
    first.put('a', 1)
    await first.commit()
    const second = await open(storage)
    first.put('a', 2)
    await expect(first.commit()).rejects.toThrow(code('FENCED') as Error)
    await expect(first.commit()).rejects.toThrow(code('FENCED') as Error)
    first.put('b', 1)
    expect(await first.get('b')).toBe(1)
    await expect(first.set('c', 1)).rejects.toThrow(code('FENCED') as Error)
    await expect(first.update('c', () => 1)).rejects.toThrow(code('FENCED') as Error)
    await expect(first.checkpoint()).rejects.toThrow(code('FENCED') as Error)
    expect(events).toHaveLength(1)
    second.put('a', 3)
    await second.commit()
    const warnings: unknown[] = []
    first.on('warning', (detail) => warnings.push(detail))
    await first.reopen()
    expect(warnings).toHaveLength(1)
    expect(await first.get('a')).toBe(3)
    first.put('a', 4)
    await first.commit()
    await expect(second.commit()).rejects.toThrow(code('FENCED') as Error)
    await Promise.all([first.close(), second.close()])
  })

  test('a follower reads beside the writer, catches up on refresh(), and writes nothing', async () => {
    const storage = make()
    await expect(open(storage, { mode: 'follower' })).rejects.toThrow(code('NOT_FOUND') as Error)
    const writer = await open(storage, { checkpoint: { entries: 4 } })
    writer.put('a', 0)
    await writer.commit()
    const follower = await open(storage, { mode: 'follower' })
    const versions: number[] = []
    follower.on('version', ({ version }) => versions.push(version))
    for (let i = 1; i <= 30; i++) {
      writer.put('a', i)
      writer.put(`k${i}`, i)
      const { version } = await writer.commit({ offsets: { i } })
      expect(await follower.get('a')).toBe(i - 1)
      await follower.refresh()
      expect([follower.version, await follower.get('a'), follower.offsets]).toEqual([version, i, { i }])
      expect(versions.at(-1)).toBe(version)
    }
    expect((await collect(follower.keys({ prefix: 'k' }))).length).toBe(30)
    for (const write of [() => follower.put('x', 1), () => follower.delete('x'), () => follower.clear()]) {
      expect(write).toThrow(code('READ_ONLY') as Error)
    }
    await expect(follower.commit()).rejects.toThrow(code('READ_ONLY') as Error)
    await expect(follower.checkpoint()).rejects.toThrow(code('READ_ONLY') as Error)
    writer.put('still', 'writable')
    await writer.commit()
    await Promise.all([writer.close(), follower.close()])
  })

  test('a follower with followMs sees new versions by itself', async () => {
    const storage = make()
    const writer = await open(storage)
    await writer.commit()
    const follower = await open(storage, { mode: 'follower', followMs: 5 })
    const seen = new Promise((resolve) => follower.on('version', resolve))
    writer.put('a', 1)
    await writer.commit()
    await seen
    expect(await follower.get('a')).toBe(1)
    await Promise.all([writer.close(), follower.close()])
  })

  test('a name that Windows reserves, or with a dot at its end, is none of a store, a tag or a fork', async () => {
    const storage = make()
    const store = await open(storage)
    await store.commit()
    for (const name of ['con', 'nul', 'aux', 'prn', 'com1', 'lpt9', 'con.txt', 'nul.', 'orders.', '...']) {
      const refused = { code: 'INVALID_ARGUMENT', message: expect.stringContaining(name) }
      await expect(openStore({ storage, name })).rejects.toMatchObject(refused)
      await expect(openStore({ storage, name, mode: 'follower' })).rejects.toMatchObject(refused)
      await expect(store.tag(name)).rejects.toMatchObject(refused)
      await expect(store.fork(name)).rejects.toMatchObject(refused)
      await expect(push({ storage, name: 's' }, { storage, name })).rejects.toMatchObject(refused)
    }
    for (const name of ['console', 'com', 'com10', 'lpt0', 'null', 'a.con', '.con', '-']) {
      await (await openStore({ storage, name })).close()
    }
    await store.close()
  })

  test('create, job, name, mode, expectAtLeast and unknown options are held to', async () => {
    const storage = make()
    await expect(open(storage, { create: false })).rejects.toThrow(code('NOT_FOUND') as Error)
    await expect(open(storage, { expectAtLeast: 1 })).rejects.toThrow(code('ROLLED_BACK') as Error)
    const store = await open(storage, { create: true, job: 'orders' })
    const { version } = await store.commit()
    await store.close()
    await expect(open(storage, { create: true })).rejects.toThrow(code('INVALID_ARGUMENT') as Error)
    await expect(open(storage, { job: 'other' })).rejects.toThrow(code('INVALID_ARGUMENT') as Error)
    await expect(open(storage, { expectAtLeast: version + 1 })).rejects.toThrow(code('ROLLED_BACK') as Error)
    await (await open(storage, { job: 'orders', expectAtLeast: version, create: false })).close()
    const bad: Partial<Record<keyof OpenOptions, unknown>>[] = [
      { name: '' },
      { name: 'A' },
      { name: '..' },
      { name: 'a/b' },
      { name: 'x'.repeat(65) },
      { name: 5 },
      { partitions: 0 },
      { partitions: 1.5 },
      { partitions: 5000 },
      { mode: 'both' },
      { job: 5 },
      { create: 'yes' },
      { storage: undefined },
      { storage: {} },
      { checkpoint: { entries: 0 } },
      { deflateLevel: 10 },
      { durability: 'none' },
      { codec: {} },
      { ttlMs: 0 },
      { timeoutMs: -1 },
      { expectAtLeast: -1 },
      { nmae: 1 } as never,
    ]
    for (const options of bad) {
      await expect(open(storage, options as Partial<OpenOptions>), JSON.stringify(options)).rejects.toThrow(
        code('INVALID_ARGUMENT') as Error,
      )
    }
  })

  test('close() is idempotent, warns of what it drops, and everything after it is CLOSED', async () => {
    const store = await open(make())
    const warnings: unknown[] = []
    store.on('warning', (detail) => warnings.push(detail))
    store.put('a', 1)
    await Promise.all([store.close(), store.close()])
    await store.close()
    expect(warnings).toHaveLength(1)
    for (const call of [
      () => store.put('a', 1),
      () => store.getSync('a'),
      () => store.discard(),
      () => store.table('t'),
    ]) {
      expect(call).toThrow(code('CLOSED') as Error)
    }
    for (const call of [
      () => store.get('a'),
      () => store.commit(),
      () => store.checkpoint(),
      () => store.refresh(),
      () => store.reopen(),
      () => collect(store.keys()),
    ]) {
      await expect(call()).rejects.toThrow(code('CLOSED') as Error)
    }
  })

  test('close() waits for a commit that is under way', async () => {
    const storage = make()
    const store = await open(storage)
    store.put('a', 1)
    const committing = store.commit()
    await store.close()
    const { version } = await committing
    const again = await open(storage)
    expect([again.version, await again.get('a')]).toEqual([version, 1])
    await again.close()
  })

  test('several stores share a storage and see nothing of each other', async () => {
    const storage = make()
    const [a, b] = await Promise.all([open(storage, { name: 'a' }), open(storage, { name: 'a-b' })])
    a.put('k', 'a')
    b.put('k', 'b')
    await Promise.all([a.commit(), b.commit()])
    expect([await a.get('k'), await b.get('k')]).toEqual(['a', 'b'])
    await Promise.all([a.close(), b.close()])
  })

  test('creators that race end with one store', async () => {
    const storage = make()
    const settled = await Promise.allSettled(Array.from({ length: 5 }, () => open(storage)))
    const opened = settled.flatMap((s) => (s.status === 'fulfilled' ? [s.value] : []))
    for (const s of settled) if (s.status === 'rejected') expect(s.reason).toMatchObject({ code: 'CONFLICT' })
    expect(opened.length).toBeGreaterThan(0)
    const written = await Promise.allSettled(
      opened.map(async (store, i) => {
        store.put(`from ${i}`, i)
        return store.commit()
      }),
    )
    expect(written.filter((w) => w.status === 'fulfilled').length).toBeLessThanOrEqual(1)
    await Promise.all(opened.map((store) => store.close()))
    const last = await open(storage)
    expect((await collect(last.keys())).length).toBe(written.filter((w) => w.status === 'fulfilled').length)
    await last.close()
  })

  test('a store whose anchor is gone is found again and not created anew', async () => {
    const storage = make()
    const store = await open(storage, { checkpoint: { entries: 4 } })
    for (let i = 0; i < 9; i++) {
      store.put(i, i)
      await store.commit()
    }
    await store.close()
    await storage.anchor('s/0/anchor').remove()
    await expect(open(storage, { create: true })).rejects.toThrow(code('INVALID_ARGUMENT') as Error)
    const follower = await open(storage, { mode: 'follower' })
    expect((await collect(follower.keys())).length).toBe(9)
    await follower.close()
    const again = await open(storage, { create: false })
    expect((await collect(again.keys())).length).toBe(9)
    again.put('more', 1)
    await again.commit()
    await again.close()
  })

  test('another codec than the recorded one is refused, for the default table and for named ones', async () => {
    const text = {
      id: 'text',
      encode: (v: unknown) => new TextEncoder().encode(String(v)),
      decode: (b: Uint8Array) => new TextDecoder().decode(b),
    }
    const storage = make()
    const store = await open(storage, { codec: text })
    store.put('a', 'hello')
    store.table('json').put('a', { x: 1 })
    await store.commit()
    expect(() => store.table('json', { codec: text })).toThrow(code('INVALID_ARGUMENT') as Error)
    await store.checkpoint()
    await store.close()
    await expect(open(storage)).rejects.toThrow(code('INVALID_ARGUMENT') as Error)
    const again = await open(storage, { codec: text })
    expect(await again.get('a')).toBe('hello')
    expect(() => again.table('json', { codec: text })).toThrow(code('INVALID_ARGUMENT') as Error)
    expect(await again.table('json').get('a')).toEqual({ x: 1 })
    await again.close()
  })

  test('an opener with another codec, or an older version of the values, is refused before it fences the owner', async () => {
    const storage = make()
    const upgrade = (value: unknown): unknown => value
    const owner = await open(storage, { version: 2, upgrade })
    owner.put('a', 1)
    await owner.commit()
    const other = { id: 'other', encode: () => new Uint8Array(1), decode: () => 1 }
    await expect(open(storage, { codec: other })).rejects.toThrow(code('INVALID_ARGUMENT') as Error)
    await expect(open(storage)).rejects.toThrow(code('UNSUPPORTED_FORMAT') as Error)
    owner.put('a', 2)
    await owner.commit()
    expect(await owner.get('a')).toBe(2)
    await owner.close()
  })
})

test('the segments of a resident store are asked for beside the fence', async () => {
  const storage = memory()
  const store = await openStore({ storage, name: 's' })
  store.put('a', 1)
  await store.commit()
  await store.checkpoint()
  await store.close()
  const begun: string[] = []
  let answerFence = (): void => undefined
  const isAsked = new Promise<void>((resolve) => (answerFence = resolve))
  const watched = intercept(storage, async ({ target, method }, run) => {
    begun.push(`${target}.${method}`)
    if (target === 'blobs') answerFence()
    // It would wait for ever if the segments came after it.
    if (method === 'claim') await isAsked
    return run(undefined)
  })
  const resident = await openStore({ storage: watched, name: 's', resident: true })
  expect(resident.getSync('a')).toBe(1)
  expect(begun).toEqual(expect.arrayContaining(['log.claim', 'blobs.get']))
  await resident.close()
})
