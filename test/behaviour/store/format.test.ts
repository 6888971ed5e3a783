/** What is read of each golden set, by the adapters that it was written for. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { openStore, type Store } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { r2 } from 'tidemark/r2'
import { consume, type SourceEvent } from 'tidemark/stream'
import { destroyStore, listStores, verify } from 'tidemark/tools'
import { importZip, push } from 'tidemark/transfer'
import { everyKey, hexDump, steadyClock, writeExample, writeRemote } from '../../support/example.js'
import { putFiles } from '../../support/example-places.js'
import { everyValue, ownCodec } from '../../support/example-rare.js'
import { withIndexedDb } from '../../support/fake-indexeddb.js'
import { goldenObjects, goldenRows, loadObjects } from '../../support/golden.js'
import { bucketInMemory } from '../../support/r2-bucket.js'
import { readAll } from '../../support/read-all.js'
import { putRows } from '../../support/rows.js'
import { placeAt, s3Adapters } from '../../support/s3-clients.js'
import { startS3Server } from '../../support/s3-server.js'
import { collect, temporaryFolder } from '../../support/storages.js'

const here = new URL('.', import.meta.url)

describe('the format', () => {
  test('of version 1 is readable for ever', async () => {
    const storage = await loadObjects(goldenObjects('1'))
    const store = await openStore({ storage, name: 'example', mode: 'follower', job: 'docs' })
    expect(store.version).toBe(6)
    expect(await store.get(29)).toBe('value 29')
    expect(store.offsets).toEqual({ clicks: 7, views: { 0: 'x', 3: 9n } })
    expect(await store.get('a')).toBeUndefined()
    expect(await store.get('b')).toEqual({ at: new Date(0) })
    expect(await store.table('t').get(['k', 1])).toEqual(new Uint8Array([1, 2]))
    const versions = []
    for await (const { version, time, label, meta } of store.versions()) versions.push({ version, time, label, meta })
    const time = 1_700_000_000_000
    expect(versions).toEqual([
      { version: 2, time, label: undefined, meta: undefined },
      { version: 3, time, label: 'second', meta: { by: 'docs' } },
      { version: 5, time, label: undefined, meta: undefined },
      { version: 6, time, label: undefined, meta: undefined },
    ])
    await store.close()
    const owner = await openStore({ storage, name: 'example' })
    owner.put('c', 3)
    expect((await owner.commit()).version).toBe(8)
    await owner.close()
  })

  test('of version 1 is readable for ever with keys of every kind, in their order', async () => {
    const storage = await loadObjects(goldenObjects('1-keys'))
    expect(await verify({ storage, name: 'keys' })).toMatchObject({ ok: true, damages: [] })
    const store = await openStore({ storage, name: 'keys', mode: 'follower' })
    expect(await collect(store.entries())).toStrictEqual(everyKey.map((key, i) => [key, i]))
    for (const [i, key] of everyKey.entries()) expect(await store.get(key)).toBe(i)
    await store.close()
  })

  test('of version 1 is readable for ever with changes that went over a network', async () => {
    const storage = await loadObjects(goldenObjects('1-remote'))
    expect(await verify({ storage, name: 'remote' })).toMatchObject({ ok: true, damages: [] })
    const store = await openStore({ storage, name: 'remote', mode: 'follower' })
    const kept = await store.at('both')
    for (const view of [store, kept]) {
      expect(await view.get('small')).toBe(true)
      for (let i = 0; i < 100; i++) expect(await view.get(i)).toBe(`value ${i}`)
    }
    await kept.close()
    await store.close()
  })

  test('of version 1 is readable for ever with all that versions leave behind', async () => {
    const storage = await loadObjects(goldenObjects('1-past'))
    for (const name of ['past', 'past-fork', 'past-copy']) {
      expect(await verify({ storage, name })).toMatchObject({ ok: true, damages: [] })
    }
    const store = await openStore({ storage, name: 'past', mode: 'shared' })
    const kept = await collect(store.versions())
    expect(kept.map(({ kind, label }) => [kind, label])).toEqual([
      // The three that were kept when it was last collected, and the one after.
      ['commit', undefined],
      ['reset', 'back'],
      ['reset', undefined],
      ['commit', undefined],
    ])
    expect((await store.tags()).map(({ name }) => name)).toEqual(['second'])
    // The eighteenth commit, with partition 1 of the twelfth.
    expect(await collect(store.partition(0).keys())).toEqual(keysTo(18).concat(await last(store, 0)))
    expect(await collect(store.partition(1).keys())).toEqual(keysTo(12).concat(await last(store, 1)))
    expect(store.offsets).toEqual({ clicks: { 0: 18, 1: 12 } })
    const second = await store.at('second')
    expect(await collect(second.partition(0).keys())).toEqual(keysTo(12))
    await second.close()
    store.put('more', 1)
    await store.commit()
    await store.maintain()
    await store.close()
    const copy = await openStore({ storage, name: 'past-copy', mode: 'follower' })
    expect(await copy.get('forked')).toBe(1n)
    await copy.close()
  })

  test('of version 1 is readable for ever with values of every form, and of other codecs', async () => {
    const storage = await loadObjects(goldenObjects('1-values'))
    const store = await openStore({ storage, name: 'values', mode: 'follower', clock: steadyClock() })
    for (const at of ['segment', 'tail']) {
      for (const [i, value] of everyValue.entries()) expect(await store.get([at, i])).toStrictEqual(value)
      const own = store.table('own', { codec: ownCodec })
      for (const key of [at, `${at} expiring`]) expect(await own.get(key)).toBe(at.toUpperCase())
    }
    expect(store.offsets).toEqual({ source: { 0: 7 } })
    await store.close()
    const delivered: unknown[] = []
    const fingerprints: unknown[] = []
    const owner = await openStore({ storage, name: 'values' })
    await consume(
      owner,
      {
        name: 'source',
        async *read(_partition, from, { fingerprint }): AsyncGenerator<SourceEvent> {
          fingerprints.push([from, await Promise.resolve(fingerprint)])
          yield* []
        },
      },
      () => undefined,
      { sink: { deliver: (outputs) => void delivered.push(...outputs) } },
    )
    await owner.close()
    expect(fingerprints).toEqual([[7, 'f2']])
    expect(delivered).toEqual([
      { id: '1', value: 'one' },
      { id: '2', value: 'two' },
    ])
  })

  test('of version 1 is readable for ever with segments of every variant', async () => {
    const storage = await loadObjects(goldenObjects('1-segments'))
    const store = await openStore({ storage, name: 'segments', mode: 'follower', clock: steadyClock(), job: 'rare' })
    const whole = await store.at(2)
    for (let i = 0; i < 60; i++) expect(await whole.get(`key ${i}`)).toBe(`value ${i} `.repeat(3))
    expect(await whole.get('A'.repeat(100))).toBe('first')
    const changed = await store.at(4)
    // As strings, key 2 to key 29 and key 3 were deleted as a range, and each seventh by itself.
    const isGone = (i: number): boolean => i % 7 === 0 || (`key ${i}` >= 'key 20' && `key ${i}` < 'key 30')
    for (let i = 0; i < 60; i++) expect(await changed.has(`key ${i}`)).toBe(!isGone(i))
    for (let i = 0; i < 5; i++) expect(await changed.get(`expires ${i}`)).toBe(i)
    expect(((await changed.get('noise')) as Uint8Array).length).toBe(400)
    // Of partition 1 the first version was put back, and later the expiring ones were deleted everywhere.
    for (const partition of [0, 1, 2]) {
      const kept = await collect((partition === 1 ? whole : changed).partition(partition).entries())
      const now = await collect(store.partition(partition).entries())
      const own = ([key]: readonly unknown[]): boolean => !/^(expires|plain|tail)/.test(key as string)
      expect(now.filter(own)).toEqual(kept.filter(own))
    }
    expect([await store.get('tail'), await store.has('plain')]).toEqual([1, false])
    await Promise.all([whole, changed, store].map((view) => view.close()))
  })

  test('of version 1 is finished for ever where a crash has left it unfinished', async () => {
    const storage = await loadObjects(goldenObjects('1-unfinished'))
    const stores = await listStores(storage)
    expect(stores.map(({ name }) => name)).toEqual(['coming', 'doubt', 'going', 'parent'])
    const parent = await openStore({ storage, name: 'parent', mode: 'follower', clock: steadyClock() })
    expect((await parent.tags()).map(({ name, version }) => [name, version])).toEqual([['ends', 2]])
    expect([await parent.get('a'), await parent.get('b')]).toEqual([1, 2])
    await parent.close()
    for (const name of ['never', 'coming', 'probed']) {
      await expect(openStore({ storage, name, create: false })).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await (await openStore({ storage, name: `${name}-beside` })).close()
    }
    await expect(openStore({ storage, name: 'going' })).rejects.toMatchObject({ message: /being destroyed/ })
    await destroyStore({ storage, name: 'going' })
    expect((await storage.blobs.list('going/')).items).toEqual([])
    // The segment that has arrived is taken over.
    const pushed = await push({ storage, name: 'parent' }, { storage, name: 'coming' })
    expect(pushed.version).toBe(1)
    expect((await storage.blobs.list('coming/0/push/')).items).toEqual([])
    for (const name of ['never', 'probed']) await (await openStore({ storage, name })).close()
    for (const name of ['coming', 'never', 'probed'])
      expect(await verify({ storage, name })).toMatchObject({ ok: true })
  })

  test('of version 1 lies in a bucket object by object, under a prefix', async () => {
    const bodies = new Map([...goldenObjects('1-remote')].map(([name, bytes]) => [`a/b/${name}`, bytes]))
    const bucket = bucketInMemory()
    // The time of the storage would be in the entries.
    const put: typeof bucket.put = async (...args) => {
      const stored = await bucket.put(...args)
      return stored && ({ ...stored, uploaded: undefined } as unknown as typeof stored)
    }
    await writeRemote(r2({ ...bucket, put }, { prefix: 'a/b' }))
    const { objects } = await bucket.list()
    const found = objects.map(
      async ({ key }) => [key, new Uint8Array(await (await bucket.get(key))!.arrayBuffer())] as const,
    )
    const written = (all: readonly (readonly [string, Uint8Array])[]): Map<string, Uint8Array> =>
      new Map(all.filter(([key]) => !key.includes('/closed/')))
    expect(written(await Promise.all(found))).toEqual(bodies)
    for (const { make } of s3Adapters) {
      const server = await startS3Server({ skewMs: undefined })
      await writeRemote(make(placeAt(server.url), 'a/b/'))
      const stored = [...server.objects].map(([key, { bytes }]) => [key, new Uint8Array(bytes)] as const)
      expect(written(stored.sort(([a], [b]) => (a < b ? -1 : 1)))).toEqual(bodies)
      await server.close()
    }
  })

  test('of version 1 is readable for ever in a folder of files', async () => {
    const folder = temporaryFolder()
    putFiles(folder, goldenObjects('1-files'))
    const storage = nodeFs(folder)
    const store = await openStore({ storage, name: 'files', mode: 'follower' })
    for (let i = 0; i < 20; i++) expect(await store.get(i)).toBe(`value ${i} `.repeat(8))
    for (const i of [1, 2, 3]) expect(await store.get(`relaxed ${i}`)).toBe(i)
    expect((await store.tags()).map(({ name }) => name)).toEqual(['kept'])
    await store.close()
    expect((await storage.anchor('gone/0/anchor').read()).bytes).toBeUndefined()
    await readAll(storage, 'files')
  })

  test('of version 1 is readable for ever in a database of IndexedDB', async () => {
    await withIndexedDb(async (factory) => {
      await putRows(factory, 'golden', goldenRows('1-rows'))
      const storage = indexedDb('golden')
      const store = await openStore({ storage, name: 'rows', mode: 'follower' })
      const entries = await collect(store.entries())
      const values = { large: 'a'.repeat(62_000), middle: 'b'.repeat(20_000), small: 2, tail: true }
      expect(Object.fromEntries(entries)).toEqual(values)
      await store.close()
      // The anchor's trim number stands beside it.
      const [log] = (await storage.logs('rows/')).paths
      expect((await storage.log(log!).append(1, new Uint8Array(1), 1)).outcome).toBe('lost')
      await readAll(storage, 'rows')
    })
  })

  test('of version 1 is readable for ever as an archive', async () => {
    const storage = memory()
    const result = await importZip(goldenObjects('1-archive').get('archived.zip')!, { storage })
    expect(result).toMatchObject({ name: 'archived', version: 1, from: 4 })
    const store = await openStore({ storage, name: 'archived', mode: 'follower', job: 'export' })
    for (let i = 0; i < 60; i++) expect(await store.get(`key ${i}`)).toBe(i === 7 ? undefined : `value ${i}`)
    expect(await store.get('tail')).toEqual(new Map([[1n, new Date(0)]]))
    expect(store.offsets).toEqual({ one: 2n ** 70n, parts: { 0: 'x', 1: 1.5 } })
    expect(await collect(store.versions())).toMatchObject([{ label: 'é', meta: { a: [1] }, kind: 'reset' }])
    await store.close()
    await readAll(storage, 'archived')
  })

  test('is as the worked example of docs/format.md says', async () => {
    const text = readFileSync(new URL('../../../docs/format.md', here), 'utf8')
    const { objects } = await writeExample()
    const entry = [...objects].find(([name]) => name.endsWith('/0000000000000002'))!
    expect(text).toContain(`\n${hexDump(entry[1])}\n`)
  })

  test('of a newer version, or with unknown flags, is refused by name', async () => {
    const { crc32 } = await import('../../../src/bytes/crc32.js')
    for (const [at, value, says] of [
      [4, 3, 'format 3'],
      [6, 1, 'is encrypted (cipher '],
      [6, 2, 'flags 2'],
      [7, 1, 'flags 256'],
    ] as const) {
      for (const kind of ['/anchor', '0000000000000005']) {
        const objects = new Map([...goldenObjects('1')].map(([name, bytes]) => [name, bytes.slice()]))
        const bytes = [...objects].find(([name]) => name.endsWith(kind))![1]
        bytes[at] = value
        new DataView(bytes.buffer).setUint32(12, crc32(bytes.subarray(0, 12)), true)
        const opening = openStore({ storage: await loadObjects(objects), name: 'example' })
        await expect(opening).rejects.toMatchObject({
          code: 'UNSUPPORTED_FORMAT',
          message: expect.stringContaining(says) as string,
        })
      }
    }
  })
})

const keysTo = (n: number): string[] => Array.from({ length: n }, (_, i) => `k${i + 1}`).toSorted()

/** The key of the last commit, where the hash has put it. */
async function last(store: Store, partition: number): Promise<string[]> {
  return (await store.partition(partition).has('last')) ? ['last'] : []
}
