import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { openStore, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { everyKey, hexDump, writeExample, writeKeys, writePast, writeRemote } from '../../support/example.js'
import { collect } from '../../support/storages.js'
import { verify } from 'tidemark/tools'

const here = new URL('.', import.meta.url)
const golden = (version: string): ReadonlyMap<string, Uint8Array> =>
  new Map(
    Object.entries(
      JSON.parse(readFileSync(new URL(`../../golden/format-${version}.json`, here), 'utf8')) as Record<string, string>,
    ).map(([name, hex]) => [name, Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))]),
  )

async function load(objects: ReadonlyMap<string, Uint8Array>): Promise<Storage> {
  const storage = memory()
  for (const [name, bytes] of objects) {
    const entry = /^(.*)\/log\/(\d{16})$/.exec(name)
    if (entry) await storage.log(entry[1]!).append(Number(entry[2]), bytes, 1)
    else if (name.endsWith('/anchor')) await storage.anchor(name).swap(undefined, bytes, 0)
    else await storage.blobs.put(name, bytes)
  }
  return storage
}

describe('the format', () => {
  test('is written as the golden file has it, byte for byte', async () => {
    const { objects } = await writeExample()
    if (process.env['TIDEMARK_WRITE_GOLDEN']) {
      write('1', objects)
      write('1-past', (await writePast()).objects)
      write('1-keys', (await writeKeys()).objects)
      write('1-remote', (await writeRemote()).objects)
    }
    expect(objects).toEqual(golden('1'))
    expect((await writeKeys()).objects).toEqual(golden('1-keys'))
    expect((await writeRemote()).objects).toEqual(golden('1-remote'))
  })

  test('of version 1 is readable for ever', async () => {
    const storage = await load(golden('1'))
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
    const storage = await load(golden('1-keys'))
    expect(await verify({ storage, name: 'keys' })).toMatchObject({ ok: true, damages: [] })
    const store = await openStore({ storage, name: 'keys', mode: 'follower' })
    expect(await collect(store.entries())).toStrictEqual(everyKey.map((key, i) => [key, i]))
    for (const [i, key] of everyKey.entries()) expect(await store.get(key)).toBe(i)
    await store.close()
  })

  test('of version 1 is readable for ever with changes that went over a network', async () => {
    const storage = await load(golden('1-remote'))
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
    const storage = await load(golden('1-past'))
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

  test('is as the worked example of docs/format.md says', async () => {
    const text = readFileSync(new URL('../../../docs/format.md', here), 'utf8')
    const { objects } = await writeExample()
    const entry = [...objects].find(([name]) => name.endsWith('/0000000000000002'))!
    expect(text).toContain(`\n${hexDump(entry[1])}\n`)
  })

  test('of a newer version, or with unknown flags, is refused by name', async () => {
    const { crc32 } = await import('../../../src/bytes/crc32.js')
    for (const [at, value, says] of [
      [4, 2, 'format 2'],
      [6, 1, 'is encrypted (cipher '],
      [6, 2, 'flags 2'],
      [7, 1, 'flags 256'],
    ] as const) {
      for (const kind of ['/anchor', '0000000000000005']) {
        const objects = new Map([...golden('1')].map(([name, bytes]) => [name, bytes.slice()]))
        const bytes = [...objects].find(([name]) => name.endsWith(kind))![1]
        bytes[at] = value
        new DataView(bytes.buffer).setUint32(12, crc32(bytes.subarray(0, 12)), true)
        const opening = openStore({ storage: await load(objects), name: 'example' })
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

/** Once for each version of the format, by TIDEMARK_WRITE_GOLDEN=1, and never again after it has landed. */
function write(version: string, objects: ReadonlyMap<string, Uint8Array>): void {
  const hex = Object.fromEntries([...objects].map(([name, bytes]) => [name, hexDump(bytes).replace(/\s/g, '')]))
  writeFileSync(new URL(`../../golden/format-${version}.json`, here), `${JSON.stringify(hex, null, 2)}\n`)
}
