/** How many calls a storage is asked to serve at once, and what becomes of those that wait. */
import { describe, expect, test, vi } from 'vitest'
import { isTidemarkError, openStore, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { r2, type R2BucketLike } from 'tidemark/r2'
import { s3 } from 'tidemark/s3'
import { s3Fetch } from 'tidemark/s3-fetch'
import { diff, listStores, verify } from 'tidemark/tools'
import { push } from 'tidemark/transfer'
import { systemClock, type Clock } from '../../../src/clock.js'
import { deadlines } from '../../../src/storage/deadlines.js'
import { intercept } from '../../../src/storage/intercept.js'
import { Turns } from '../../../src/storage/turns.js'
import { ModelFs } from '../../support/model-fs.js'
import { modelClock } from '../../support/model-fs-run.js'
import { collect } from '../../support/storages.js'

/** A clock whose timers a test fires by hand: those that are set at that moment. */
function handClock(): { clock: Clock; fire: () => void } {
  const timers = new Set<() => void>()
  const clock: Clock = {
    ...systemClock,
    timer(_, run) {
      timers.add(run)
      return () => void timers.delete(run)
    },
  }
  const fire = (): void => {
    for (const run of Array.from(timers)) {
      timers.delete(run)
      run()
    }
  }
  return { clock, fire }
}

/** `memory()` that serves `most` calls at once and answers when a test says so. */
function held(most: number): { storage: Storage; sent: string[]; answer: () => Promise<void> } {
  const turns = new Turns(most)
  const sent: string[] = []
  const waiting: (() => void)[] = []
  const inner = intercept(memory(), async (call, run) => {
    sent.push(`${call.method} ${call.path}`)
    await new Promise<void>((resolve) => waiting.push(resolve))
    return run(call.signal)
  })
  const storage = { ...inner, capabilities: { name: 'held', trim: 'writer', turns: () => turns } as const }
  const answer = async (): Promise<void> => {
    waiting.shift()?.()
    await settle()
  }
  return { storage, sent, answer }
}

/** Lets everything happen that can. The first that waits loads the part for it. */
async function settle(): Promise<void> {
  await import('../../../src/storage/waiting.js')
  for (let i = 0; i < 5; i++) await systemClock.pause()
}

test('no more calls are sent than the storage serves at once, in the order in which they came', async () => {
  const { storage, sent, answer } = held(2)
  const { blobs } = deadlines(storage)
  const names = ['a', 'b', 'c', 'd', 'e']
  const all = Promise.all(names.map((name) => blobs.get(name)))
  await settle()
  for (let i = 0; i < names.length; i++) {
    expect(sent).toEqual(names.slice(0, i + 2).map((name) => `get ${name}`))
    await answer()
  }
  await all
})

test('all who use one storage share its turns, and decorators around each other do not wait for themselves', async () => {
  const { storage, sent, answer } = held(1)
  const one = deadlines(deadlines(storage)).blobs.get('a')
  const two = deadlines(storage).blobs.get('b')
  const three = deadlines(deadlines(storage)).blobs.get('c')
  await settle()
  expect(sent.length).toBe(1)
  for (let i = 0; i < 3; i++) await answer()
  await Promise.all([one, two, three])
  expect(sent.length).toBe(3)
})

test('a create, a swap and a close wait for no turn', async () => {
  const { storage, sent, answer } = held(1)
  const limited = deadlines(storage)
  const log = limited.log('s/0/id')
  const read = limited.blobs.get('a')
  const later = limited.blobs.get('b')
  const others = [
    log.claim(1, new Uint8Array(1), 1),
    limited.anchor('s/0/anchor').swap(undefined, new Uint8Array(1), 0),
  ]
  const closed = log.close()
  await settle()
  expect(sent.slice(0, 4)).toEqual(['get a', 'claim s/0/id', 'swap s/0/anchor', 'close s/0/id'])
  expect(sent.length).toBe(4)
  for (let i = 0; i < 5; i++) await answer()
  await Promise.all([read, later, ...others, closed])
})

test('who waits ends by his signal, without being sent', async () => {
  const { storage, sent, answer } = held(1)
  const { blobs } = deadlines(storage)
  const controller = new AbortController()
  const first = blobs.get('a')
  const aborted = blobs.get('b', { signal: controller.signal })
  const third = blobs.get('c')
  await settle()
  controller.abort(new Error('enough'))
  await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' })
  await expect(blobs.get('d', { signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' })
  for (let i = 0; i < 2; i++) await answer()
  await Promise.all([first, third])
  expect(sent).toEqual(['get a', 'get c'])
})

test('waiting is no stall as long as others are answered, and ends when nobody is', async () => {
  const { storage, sent, answer } = held(1)
  const { clock, fire } = handClock()
  const { blobs } = deadlines(storage, { clock, timeoutMs: 10 })
  const names = ['a', 'b', 'c', 'd']
  const calls = names.map((name) =>
    blobs.get(name).then(
      () => 'answered',
      (error: unknown) => (isTidemarkError(error) ? error.code : error),
    ),
  )
  await settle()
  // The time of each passes while it waits, but one is answered meanwhile.
  await answer()
  await answer()
  expect(sent).toEqual(['get a', 'get b', 'get c'])
  // Now c is not answered for as long as one call may take: it ends; d, who waited for longer, is sent or told so.
  fire()
  await settle()
  fire()
  await settle()
  expect(await Promise.all(calls)).toEqual(['answered', 'answered', 'STORAGE_UNAVAILABLE', 'STORAGE_UNAVAILABLE'])
  // A call that ended by its deadline holds no place: the storage can be asked again.
  const again = blobs.get('e')
  await settle()
  expect(sent.at(-1)).toBe('get e')
  for (let i = 0; i < 3; i++) await answer()
  await again
})

test('a storage that answers nothing at all holds up none of a thousand reads for longer than two deadlines', async () => {
  const { storage } = held(4)
  const { clock, fire } = handClock()
  const { blobs } = deadlines(storage, { clock, timeoutMs: 10 })
  const calls = Array.from({ length: 1000 }, (_, i) => blobs.get(`${i}`))
  const all = Promise.allSettled(calls)
  await settle()
  for (let i = 0; i < 2; i++) {
    fire()
    await settle()
  }
  const ends = await all
  expect(ends.every((end) => end.status === 'rejected')).toBe(true)
})

describe('an adapter is asked to serve no more at once than it has', () => {
  /** Counts what is under way; each takes a turn of the event loop. */
  function counting(): { during: <T>(answer: T) => Promise<T>; most: () => number } {
    let [running, most] = [0, 0]
    return {
      async during(answer) {
        most = Math.max(most, ++running)
        await systemClock.pause()
        running--
        return answer
      },
      most: () => most,
    }
  }

  async function readMany(storage: Storage): Promise<void> {
    // Two handles, as two stores on one storage have them.
    const handles = [deadlines(storage), deadlines(storage)]
    const reads = handles.flatMap(({ blobs }) => Array.from({ length: 200 }, (_, i) => blobs.get(`s/0/id/seg/${i}`)))
    for (const { bytes } of await Promise.all(reads)) expect(bytes).toBeUndefined()
  }

  function fetching(): { storage: Storage; most: () => number } {
    const { during, most } = counting()
    const body = '<Error><Code>NoSuchKey</Code></Error>'
    const fetch = () => during(new Response(body, { status: 404, headers: { date: new Date(0).toUTCString() } }))
    return { storage: s3Fetch({ fetch, url: 'http://localhost/bucket' }), most }
  }

  test('s3Fetch(): 16 requests', async () => {
    const { storage, most } = fetching()
    await readMany(storage)
    expect(most()).toBe(16)
  })

  test('s3(): 40 of the 50 connections of a client, whatever buckets it is used for', async () => {
    const { during, most } = counting()
    const absent = Object.assign(new Error('absent'), { name: 'NoSuchKey', $metadata: { httpStatusCode: 404 } })
    const client = {
      async send() {
        await during(undefined)
        throw absent
      },
    }
    await Promise.all(['one', 'two'].map((bucket) => readMany(s3({ client, bucket }))))
    expect(most()).toBe(40)
  })

  test('in a worker of Cloudflare five of its six connections, and no request waits for another one', async () => {
    const { during, most } = counting()
    const never = (): Promise<never> => Promise.reject(new Error('not asked for'))
    const bucket: R2BucketLike = { head: never, get: () => during(null), put: never, delete: never, list: never }
    const fifty = Array.from({ length: 50 }, (_, i) => `${i}`)
    const { blobs } = deadlines(r2(bucket))
    await Promise.all(fifty.map((name) => blobs.get(name)))
    expect(most()).toBe(5)
    vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' })
    const [one, many] = [fetching(), fetching()]
    vi.unstubAllGlobals()
    const handle = deadlines(one.storage)
    await Promise.all(fifty.map((name) => handle.blobs.get(name)))
    expect(one.most()).toBe(5)
    // Each of these handles is that of a request.
    await Promise.all(fifty.map((name) => deadlines(many.storage).blobs.get(name)))
    expect(many.most()).toBe(50)
  })

  test('nodeFs(): the stores of a process have few files open, whatever reads at once', async () => {
    const disk = new ModelFs()
    let most = 0
    const fs = disk.process({ onStep: () => void (most = Math.max(most, fs.openFiles)) })
    const storage = (folder: string): Storage => nodeFs(folder, { fs, clock: modelClock(1) })
    const options = { name: 's', partitions: 60, blockBytes: 128, segmentBytes: 1024, cacheBytes: 0 }
    const keys = Array.from({ length: 400 }, (_, i) => i)
    for (const folder of ['/a', '/b']) {
      const store = await openStore<number, string>({ storage: storage(folder), ...options })
      for (const key of keys) store.put(key, `value ${key}`)
      await store.commit()
      await store.checkpoint()
      await store.tag('kept')
      for (const key of keys) store.put(key, `other ${key}`)
      await store.commit()
      await store.checkpoint()
      await store.close()
    }
    const open = (folder: string, resident = false): Promise<Store<number, string>> =>
      openStore({ storage: storage(folder), ...options, mode: 'follower', resident })
    const stores = await Promise.all([open('/a'), open('/b')])
    const idle = fs.openFiles
    most = 0
    const read = async (store: Store<number, string>): Promise<void> => {
      expect(await store.getMany(keys)).toEqual(keys.map((key) => `other ${key}`))
      await Promise.all(keys.map((key) => store.get(key)))
      expect((await collect(store.entries())).length).toBe(keys.length)
      expect((await collect(diff(store, 'kept', store.version))).length).toBe(keys.length)
    }
    await Promise.all(stores.map(read))
    expect((await verify({ storage: storage('/a'), name: 's' })).ok).toBe(true)
    await push({ storage: storage('/a'), name: 's' }, { storage: storage('/c'), name: 's' })
    const resident = await open('/b', true)
    expect(resident.getSync(7)).toBe('other 7')
    await resident.close()
    expect((await listStores(storage('/a'))).map(({ name }) => name)).toEqual(['s'])
    expect(most).toBeGreaterThan(idle + 10)
    expect(most).toBeLessThan(idle + 2 * 32 + 4)
    expect(fs.openFiles).toBe(idle)
    await Promise.all(stores.map((store) => store.close()))
    expect(fs.openFiles).toBe(0)
  })

  test('nodeFs(): hundreds of blobs that are read without a store, too', async () => {
    const disk = new ModelFs()
    let most = 0
    const fs = disk.process({ onStep: () => void (most = Math.max(most, fs.openFiles)) })
    const { blobs } = nodeFs('/disk', { fs, clock: modelClock(1) })
    const names = Array.from({ length: 300 }, (_, i) => `seg/${i}`)
    for (const name of names) await blobs.put(name, new TextEncoder().encode(name))
    most = 0
    const whole = names.map(async (name) => (await blobs.get(name)).bytes?.length)
    const parts = names.map(async (name) => (await blobs.get(name, { range: { offset: 1, length: 2 } })).bytes?.length)
    expect(await Promise.all(whole)).toEqual(names.map(({ length }) => length))
    expect(await Promise.all(parts)).toEqual(names.map(() => 2))
    expect(most).toBe(64)
    expect(fs.openFiles).toBe(0)
  })
})
