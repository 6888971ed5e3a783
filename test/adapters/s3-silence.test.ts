/** A storage that says nothing: time-outs leave conditional writes unknown, everything else fails, and no connection stays. */
import { eachAdapter } from '../support/counting.js'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { deadlines, openStore, systemClock, type Clock, type Storage } from 'tidemark'
import { hastyClock } from '../support/history.js'
import { placeAt, s3Adapters } from '../support/s3-clients.js'
import { startS3Server, type S3Fault, type S3Server } from '../support/s3-server.js'

const bytes = new TextEncoder().encode('the bytes')
const BLOB = 'a/0/id/seg/s'
/** The deadlines that run. They pass when the server has what it is not going to answer, however long that takes to come. */
const running = new Set<() => void>()
const clock: Clock = {
  ...systemClock,
  timer(_, run) {
    running.add(run)
    return () => void running.delete(run)
  },
}
let server!: S3Server
let runs = 0

beforeAll(async () => {
  server = await startS3Server()
})
afterAll(() => server.close())
afterEach(() => {
  server.decide = undefined
})

function once(fault: S3Fault, method: string): void {
  server.decide = (seen) => {
    if (seen.method !== method) return undefined
    server.decide = undefined
    // In a turn after the one in which it is served, or half of it is sent.
    setTimeout(() => {
      for (const pass of running) pass()
    }, 20)
    return fault
  }
}

/** Resolves when a connection that was waited on in vain has been let go of. */
async function letGo(before: number): Promise<void> {
  await expect.poll(() => server.connections()).toBeLessThanOrEqual(before)
}

eachAdapter(s3Adapters, '%s', (make) => {
  const fresh = (): Storage => deadlines(make(placeAt(server.url), `run-${runs++}`), { clock })

  test.each<S3Fault & string>(['no-answer', 'silently-served'])(
    'a create or swap without an answer is unknown, is sent once, and settled by sending it again (%s)',
    async (fault) => {
      const storage = fresh()
      const anchor = storage.anchor('a/0/anchor')
      await anchor.swap(undefined, bytes, 0)
      const { token } = await anchor.read()
      const before = server.connections()
      for (const send of [
        () => storage.log('a/0/id').append(1, bytes, 1),
        () => anchor.swap(token, new Uint8Array([1]), 0),
      ]) {
        once(fault, 'PUT')
        const sent = server.requests.length
        expect(await send()).toMatchObject({ outcome: 'unknown', settle: true })
        expect(server.requests.length - sent).toBe(1)
        expect((await send()).outcome).toBe(fault === 'no-answer' ? 'committed' : 'lost')
      }
      await letGo(before)
    },
  )

  test.each<S3Fault & string>(['no-answer', 'stalled-body'])('a read without an end fails (%s)', async (fault) => {
    const storage = fresh()
    await storage.blobs.put(BLOB, bytes)
    await storage.blobs.get(BLOB)
    const before = server.connections()
    for (const read of [() => storage.blobs.get(BLOB), () => storage.blobs.list(''), () => storage.logs('')]) {
      once(fault, 'GET')
      await expect(read()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
      await letGo(before)
    }
    expect((await storage.blobs.get(BLOB)).bytes).toEqual(bytes)
  })

  test('an aborted signal ends a call; before it was sent, nothing is', async () => {
    const storage = make(placeAt(server.url), `run-${runs++}`)
    const sent = server.requests.length
    const signal = AbortSignal.abort()
    for (const call of [
      () => storage.log('a/0/id').append(1, bytes, 1, { signal }),
      () => storage.anchor('a/0/anchor').swap('"x"', bytes, 0, { signal }),
      () => storage.blobs.get(BLOB, { signal }),
      () => storage.blobs.put(BLOB, bytes, { signal }),
      () => storage.blobs.list('', { signal }),
      () => storage.blobs.delete([BLOB], { signal }),
    ])
      await expect(call()).rejects.toMatchObject({ code: 'ABORTED' })
    expect(server.requests.length).toBe(sent)
    const controller = new AbortController()
    let seen = 0
    server.decide = () => {
      // Both are there, and wait for an answer.
      if (++seen === 2) setTimeout(() => controller.abort())
      return 'no-answer'
    }
    const calls = [
      storage.log('a/0/id').append(1, bytes, 1, { signal: controller.signal }),
      storage.blobs.get(BLOB, { signal: controller.signal }).catch((error: unknown) => error),
    ]
    const [written, read] = await Promise.all(calls)
    expect(written).toMatchObject({ outcome: 'unknown', settle: true })
    expect(read).toMatchObject({ code: 'ABORTED' })
  })

  test('a store whose commit is not answered waits for what became of it, and acknowledges it once', async () => {
    const storage = make(placeAt(server.url), `run-${runs++}`)
    const store = await openStore<string, number>({ storage, name: 's', clock: hastyClock })
    const versions: number[] = []
    for (const fault of ['no-answer', 'silently-served'] as const) {
      store.put('n', versions.length)
      once(fault, 'PUT')
      versions.push((await store.commit()).version)
    }
    const kept: number[] = []
    for await (const { version } of store.versions()) kept.push(version)
    expect(kept.sort((a, b) => a - b)).toEqual(versions)
    expect(await store.get('n')).toBe(1)
    await store.close()
  })
})
