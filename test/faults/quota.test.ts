/** A storage without room: QUOTA, nothing left behind, nobody harmed, and on when there is room again. */
import { describe, expect, test } from 'vitest'
import { openStore, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty } from 'tidemark/testing'
import { destroyStore, listStores } from 'tidemark/tools'
import { fileStorage } from '../../adapters/node-fs/storage.js'
import { probe } from '../../src/storage/probe.js'
import { extent } from '../support/extent.js'
import { live as segmentsOf } from '../support/ruin.js'
import { live, noise, type Ground } from '../support/quota-life.js'
import { hastyClock, hurriedClock } from '../support/history.js'
import { ModelFs, type ModelProcess } from '../support/model-fs.js'

const TAKES_ROOM: ReadonlySet<string> = new Set(['put', 'append', 'claim', 'swap'])
/** How many calls are passed over from one life to the next. */
const STEP = extent(1, 12)

/** `isFull` is asked before each call that takes room. */
function objects(isFull: () => boolean): Pick<Ground, 'storage' | 'beneath' | 'litter'> {
  const beneath = memory()
  const storage = faulty(beneath, ({ method }) => (TAKES_ROOM.has(method) && isFull() ? 'quota' : undefined))
  return { storage, beneath, litter: async () => [] }
}

/** With `names` also a new name takes room, else only bytes do. */
function files(names: boolean): typeof objects {
  return (isFull) => {
    const disk = new ModelFs()
    const fs = disk.process({
      onStep: ({ takesRoom }) =>
        takesRoom !== undefined && (takesRoom > 0 || names) && isFull() ? { before: 'ENOSPC' } : undefined,
    })
    const beneath = disk.process()
    return {
      storage: fileStorage(fs, '/disk', hurriedClock),
      beneath: fileStorage(beneath, '/disk', hurriedClock),
      // Temporary files, and markers of owners that have no file.
      async litter() {
        const all = await walk('/disk')
        const found = all.filter((path) => {
          const owner = /^(.*\/)owner\.(\d{16})$/.exec(path)
          if (owner) return !all.some((other) => other.startsWith(`${owner[1]}log.${owner[2]}.`))
          return /\/@[0-9a-f]+$|\/temp\./.test(path)
        })
        return found
      },
    }

    async function walk(path: string): Promise<string[]> {
      const entries = await beneath.entries(path).catch(() => [])
      const below = entries.map(async ({ name, kind }) =>
        kind === 'directory' ? walk(`${path}/${name}`) : [`${path}/${name}`],
      )
      return (await Promise.all(below)).flat().sort()
    }
  }
}

test('closing deletes nothing that an entry of which nothing is known may name', async () => {
  const beneath = memory()
  let isFull = false
  let isCut = false
  const storage = faulty(beneath, ({ method }) => {
    if (method === 'put' && isFull) return 'quota'
    return method === 'append' && isCut ? 'reply-lost' : undefined
  })
  const store = await openStore({ name: 'life', storage, checkpoint: { entries: 4 }, timeoutMs: 200 })
  isFull = true
  const step = async (key: string): Promise<void> => {
    store.put(key, 1)
    await store.commit()
  }
  for (const key of ['a', 'b', 'c']) await step(key)
  await expect(store.checkpoint()).rejects.toMatchObject({ code: 'QUOTA' })
  isFull = false
  for (const key of ['d', 'e', 'f']) await step(key)
  // The second fold waits for an entry to carry it.
  await expect.poll(async () => (await beneath.blobs.list('life/')).items.length).toBe(2)
  await new Promise((resolve) => setTimeout(resolve))
  isCut = true
  const last = step('g')
  const closing = store.close()
  await expect(last).rejects.toMatchObject({ code: 'UNKNOWN_OUTCOME' })
  await closing
  const again = await openStore({ name: 'life', storage: beneath, mode: 'follower' })
  const repaired: unknown[] = []
  again.on('repaired', (event) => repaired.push(event))
  expect(await again.get('g')).toBe(1)
  expect(await again.get('a')).toBe(1)
  expect(await again.get('e')).toBe(1)
  const names = segmentsOf(again).map(({ name }) => name)
  expect(names).toHaveLength(2)
  expect((await beneath.blobs.list('life/')).items.map(({ name }) => name).sort()).toEqual(names.sort())
  expect(repaired).toEqual([])
  await again.close()
})

test.each<[string, (isFull: () => boolean) => Pick<Ground, 'storage' | 'beneath' | 'litter'>]>([
  ['any storage', objects],
  ['files, where bytes take room', files(false)],
  ['files, where names take room too', files(true)],
])('%s: whatever call is the first without room, it is QUOTA, leaves nothing, and goes on', async (_, make) => {
  const failed = new Map<string, number>()
  let lives = 0
  for (let at = 0; ; at += STEP) {
    let calls = 0
    let hasRoom = false
    const ground = { ...make(() => !hasRoom && ++calls > at), free: () => void (hasRoom = true) }
    // It has a test of its own (storage-probe.test.ts).
    if (at > 0) await probe(memory(), 'life/0', hurriedClock, ground.storage)
    const what = await live(ground, lives++ % 2 === 0).catch((error: unknown) => {
      throw new Error(`without room from call ${at} on: ${String(error)}`, { cause: error })
    })
    // Where calls beside commits met it nobody is told.
    if (what !== undefined) failed.set(what, (failed.get(what) ?? 0) + 1)
    if (calls <= at) break
  }
  console.log(`${lives} lives; without room failed: ${[...failed].map(([what, n]) => `${what} ${n}`).join(', ')}`)
  expect(failed.size).toBeGreaterThan(4)
})

/** A disk of so many bytes. */
class Disk {
  readonly #disk = new ModelFs()
  readonly #inside = this.#disk.process()
  capacity = Infinity
  readonly fs: ModelProcess = this.#disk.process({
    onStep: async ({ takesRoom }) =>
      takesRoom && (await this.used()) + takesRoom > this.capacity ? { before: 'ENOSPC' } : undefined,
  })

  storage(): Storage {
    return fileStorage(this.fs, '/disk', hurriedClock)
  }

  async used(path = '/disk'): Promise<number> {
    const entries = await this.#inside.entries(path).catch(() => [])
    const sizes = entries.map(async ({ name, kind }) =>
      kind === 'directory' ? this.used(`${path}/${name}`) : (await this.#inside.lstat(`${path}/${name}`)).size,
    )
    return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0)
  }
}

const noRoom = { name: 'TidemarkError', code: 'QUOTA', retryable: false }

describe('a disk that is full', () => {
  const options = { name: 'full', clock: hastyClock, retain: { versions: 2 }, graceMs: 1, checkpoint: { entries: 4 } }
  const fill = async (store: Store): Promise<void> => {
    for (let i = 0; ; i++) {
      store.put(`key ${i % 5}`, noise(i, 3_000))
      await store.commit()
    }
  }

  test('small commits are told QUOTA, collecting works without any room, and makes room for them', async () => {
    const disk = new Disk()
    const store = await openStore({ ...options, storage: disk.storage() })
    disk.capacity = (await disk.used()) + 300_000
    await expect(fill(store)).rejects.toMatchObject(noRoom)
    // Again and again: each try could take what is left.
    for (let i = 0; i < 20; i++) await expect(store.commit()).rejects.toMatchObject(noRoom)
    const full = await disk.used()
    for (let i = 0; i < 5; i++) await store.maintain()
    expect(await disk.used()).toBeLessThan(full - 20_000)
    await store.commit()
    await store.close()
  })

  test('a store is opened with as much room as its log takes, and an opener that has none harms nobody', async () => {
    const disk = new Disk()
    const owner = await openStore<string, unknown>({ ...options, storage: disk.storage(), checkpoint: { entries: 64 } })
    for (let i = 0; i < 40; i++) {
      owner.put(`key ${i}`, noise(i, 2_000))
      await owner.commit()
    }
    const before = await disk.used()
    disk.capacity = before
    for (let i = 0; i < 5; i++) {
      await expect(openStore({ ...options, storage: disk.storage() })).rejects.toMatchObject(noRoom)
      expect(await disk.used()).toBe(before)
      owner.put('state', i)
      await owner.commit()
    }
    await owner.close()
    for (let opened = false; !opened; disk.capacity += 10_000) {
      const used = await disk.used()
      const store = await openStore({ ...options, storage: disk.storage() }).catch((error: unknown) => {
        expect(error).toMatchObject(noRoom)
        return undefined
      })
      opened = store !== undefined
      if (!opened) expect(await disk.used()).toBe(used)
      else expect(await store!.get('state')).toBe(4)
      await store?.close()
    }
    // The tail is some 85 KB.
    expect(disk.capacity - before).toBeLessThan(120_000)
  })

  test('is where stores are destroyed', async () => {
    const disk = new Disk()
    const storage = disk.storage()
    const store = await openStore({ ...options, storage })
    disk.capacity = (await disk.used()) + 300_000
    await expect(fill(store)).rejects.toMatchObject(noRoom)
    await store.close()
    await destroyStore({ storage, name: 'full' })
    expect(await listStores(storage)).toEqual([])
    expect(await disk.used()).toBeLessThan(1_000)
  })
})
