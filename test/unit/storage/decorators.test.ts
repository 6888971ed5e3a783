import { expect, test } from 'vitest'
import { memory } from '../../../adapters/memory/index.js'
import { systemClock, type Clock } from '../../../src/clock.js'
import type { Storage } from '../../../src/storage/contract.js'
import { deadlines } from '../../../src/storage/deadlines.js'
import { intercept } from '../../../src/storage/intercept.js'
import { metered } from '../../../src/storage/metered.js'
import { retrying } from '../../../src/storage/retrying.js'
import { faulty, simulate, type Fault } from '../../../src/testing/index.js'

const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(7)

/** Every method once; the names in the order of the calls. */
async function everyMethod(storage: Storage): Promise<void> {
  const log = storage.log('s/0/id')
  const anchor = storage.anchor('s/0/anchor')
  await log.claim(1, bytes(10), 1)
  await log.append(2, bytes(20), 1)
  await log.read(2)
  await log.read(3)
  await log.readTail?.(1)
  await log.list(1)
  await log.sync()
  await anchor.swap(undefined, bytes(30), 1)
  await anchor.read()
  await storage.blobs.put('s/0/id/seg/a', bytes(100))
  await storage.blobs.get('s/0/id/seg/a', { range: { offset: 10, length: 5 } })
  await storage.blobs.get('s/0/id/seg/b')
  await storage.blobs.list('s/')
  await storage.logs('s/')
  await storage.blobs.delete(['s/0/id/seg/a'])
  await log.remove([1])
  await anchor.remove()
  await log.destroy()
  await log.close()
}

/** A clock whose timers a test fires by hand. */
function handClock(): { clock: Clock; waits: number[]; fire: () => void } {
  const timers = new Set<() => void>()
  const waits: number[] = []
  const clock: Clock = {
    ...systemClock,
    random: (length) => new Uint8Array(length).fill(128),
    timer(ms, run) {
      waits.push(ms)
      timers.add(run)
      return () => void timers.delete(run)
    },
  }
  const fire = (): void => {
    for (const run of timers) run()
  }
  return { clock, waits, fire }
}

/** Fails the first calls as listed, then works. */
function failing(...faults: Fault[]): { storage: Storage; beneath: Storage; calls: () => number } {
  const beneath = memory()
  let calls = 0
  const storage = faulty(beneath, ({ index }) => {
    calls++
    return faults[index]
  })
  return { storage, beneath, calls: () => calls }
}

test('intercept tells every call: target, method, path, number, bytes', async () => {
  const calls: string[] = []
  await everyMethod(
    intercept(memory(), (call, run) => {
      const { target, method, path, n = '', bytes: b } = call
      calls.push(`${target}.${method} ${path} ${n} ${b?.length ?? ''}${call.conditional ? ' conditional' : ''}`)
      return run(call.signal)
    }),
  )
  expect(calls.map((call) => call.replaceAll(/ +/g, ' ').trim())).toEqual([
    'log.claim s/0/id 1 10 conditional',
    'log.append s/0/id 2 20 conditional',
    'log.read s/0/id 2',
    'log.read s/0/id 3',
    'log.readTail s/0/id 1',
    'log.list s/0/id 1',
    'log.sync s/0/id',
    'anchor.swap s/0/anchor 30 conditional',
    'anchor.read s/0/anchor',
    'blobs.put s/0/id/seg/a 100',
    'blobs.get s/0/id/seg/a',
    'blobs.get s/0/id/seg/b',
    'blobs.list s/',
    'storage.logs s/',
    'blobs.delete s/0/id/seg/a',
    'log.remove s/0/id 1',
    'anchor.remove s/0/anchor',
    'log.destroy s/0/id',
    'log.close s/0/id',
  ])
})

test('metered counts requests, bytes each way and the price; reads of what is absent count', async () => {
  const storage = metered(memory(), { prices: { put: 5, get: 0.5, list: 10, byteRead: 1, byteWritten: 0.1 } })
  await everyMethod(storage)
  expect(storage.usage()).toEqual({
    requests: { put: 4, get: 6, list: 3, delete: 4 },
    bytesWritten: 160,
    bytesRead: 20 + 30 + 5 + 30,
    cost: 4 * 5 + 6 * 0.5 + 3 * 10 + 85 + 16,
  })
})

test('metered counts calls that failed, and costs nothing without prices', async () => {
  const storage = metered(failing('error-before').storage)
  await expect(storage.blobs.get('a')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  expect(storage.usage()).toMatchObject({ requests: { get: 1 }, cost: 0 })
})

test('retrying repeats what failed in passing, with waits that double up to a bound', async () => {
  const { storage, calls } = failing('error-before', 'error-after', 'error-before', 'error-before')
  const { clock, waits, fire } = handClock()
  const put = retrying(storage, { clock, baseMs: 100, maxMs: 300 }).blobs.put('a', bytes(3))
  for (let i = 0; i < 4; i++) {
    await systemClock.pause()
    fire()
  }
  await put
  expect(calls()).toBe(5)
  expect(waits.map((ms) => Math.round(ms))).toEqual([50, 100, 151, 151])
})

test('retrying gives up after its tries, with the last error', async () => {
  const { storage, calls } = failing('error-before', 'error-before', 'error-before')
  await expect(retrying(storage, { tries: 2, baseMs: 0 }).blobs.get('a')).rejects.toMatchObject({
    code: 'STORAGE_UNAVAILABLE',
  })
  expect(calls()).toBe(2)
})

test('retrying never repeats a create or swap that answered unknown, nor an error that will not pass', async () => {
  const { storage, calls } = failing('error-after', 'unknown-before', 'error-after', 'quota')
  const retried = retrying(storage, { baseMs: 0 })
  const log = retried.log('s/0/id')
  expect(await log.claim(1, bytes(1), 1)).toMatchObject({ outcome: 'unknown', settle: true })
  expect(await log.append(2, bytes(1), 1)).toMatchObject({ outcome: 'unknown', settle: true })
  expect(await retried.anchor('s/0/anchor').swap(undefined, bytes(1), 0)).toMatchObject({ outcome: 'unknown' })
  await expect(log.append(2, bytes(1), 1)).rejects.toMatchObject({ code: 'QUOTA' })
  expect(calls()).toBe(4)
})

test('retrying repeats a create that threw, because that one surely did not happen', async () => {
  const { storage, beneath } = failing('error-before')
  expect((await retrying(storage, { baseMs: 0 }).log('s/0/id').claim(1, bytes(1), 1)).outcome).toBe('committed')
  expect((await beneath.log('s/0/id').read(1)).bytes).toEqual(bytes(1))
})

test('retrying stops waiting when the signal aborts', async () => {
  const { storage, calls } = failing('error-before')
  const controller = new AbortController()
  const { clock } = handClock()
  const get = retrying(storage, { clock }).blobs.get('a', { signal: controller.signal })
  await systemClock.pause()
  controller.abort()
  await expect(get).rejects.toMatchObject({ code: 'ABORTED' })
  expect(calls()).toBe(1)
})

test('deadlines end a read that is not answered as STORAGE_UNAVAILABLE, which can be repeated', async () => {
  const { storage } = failing('never-sent')
  const { clock, fire } = handClock()
  const get = deadlines(storage, { clock, timeoutMs: 10 }).blobs.get('s/0/id/seg/a')
  fire()
  await expect(get).rejects.toMatchObject({
    code: 'STORAGE_UNAVAILABLE',
    retryable: true,
    message: 'memory did not answer get of s/0/id/seg/a within 10 ms; check the connection to it.',
  })
})

test('deadlines end a create or swap that is not answered as unknown, applied or not', async () => {
  for (const fault of ['never-sent', 'reply-lost'] as const) {
    const { storage, beneath } = failing(fault, fault)
    const { clock, fire } = handClock()
    const limited = deadlines(storage, { clock })
    const answers = [
      limited.log('s/0/id').claim(1, bytes(1), 1),
      limited.anchor('s/0/anchor').swap(undefined, bytes(1), 0),
    ]
    await systemClock.pause()
    fire()
    for (const answer of await Promise.all(answers)) expect(answer).toMatchObject({ outcome: 'unknown', settle: true })
    expect((await beneath.log('s/0/id').read(1)).bytes !== undefined).toBe(fault === 'reply-lost')
  }
})

test("deadlines: where only a new handle can tell (trim 'owner'), sending again is not advised", async () => {
  const { storage } = failing('never-sent')
  const owner: Storage = { ...storage, capabilities: { name: 'files', trim: 'owner' } }
  const { clock, fire } = handClock()
  const claim = deadlines(owner, { clock }).log('s/0/id').claim(1, bytes(1), 1)
  fire()
  expect(await claim).toMatchObject({ outcome: 'unknown', settle: false })
})

test('deadlines abort the call that they ended, pass the signal of the caller on, and swallow late errors', async () => {
  const signals: AbortSignal[] = []
  const slow = intercept(memory(), () => new Promise((_, reject) => setTimeout(() => reject(new Error('late')), 5)))
  const spied: Storage = {
    ...slow,
    blobs: {
      ...slow.blobs,
      get: (name, options) => {
        signals.push(options!.signal!)
        return slow.blobs.get(name, options)
      },
    },
  }
  const { clock, fire } = handClock()
  const controller = new AbortController()
  const first = deadlines(spied, { clock }).blobs.get('a')
  const second = deadlines(spied, { clock }).blobs.get('a', { signal: controller.signal })
  controller.abort()
  expect(signals.map((signal) => signal.aborted)).toEqual([false, true])
  fire()
  await expect(first).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  await expect(second).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  expect(signals[0]!.aborted).toBe(true)
  // Late errors that nobody catches would fail this test file.
  await new Promise((resolve) => setTimeout(resolve, 10))
})

test('deadlines leave no timer and no listener behind a call that was answered', async () => {
  let timers = 0
  const clock: Clock = {
    ...systemClock,
    timer: () => {
      timers++
      return () => void timers--
    },
  }
  let listeners = 0
  const { signal } = new AbortController()
  signal.addEventListener = () => void listeners++
  signal.removeEventListener = () => void listeners--
  const storage = deadlines(failing('error-before').storage, { clock })
  await expect(storage.blobs.get('a', { signal })).rejects.toThrow()
  await storage.blobs.get('a', { signal })
  expect([timers, listeners]).toEqual([0, 0])
})

test('retrying over deadlines gets an answer out of a line that loses half of what it carries', async () => {
  await simulate({ seed: 11 }, async (sim) => {
    const lossy = faulty(sim.storage(memory()), () => {
      if (sim.random.chance(0.5)) return undefined
      return sim.random.chance(0.5) ? 'never-sent' : 'reply-lost'
    })
    const storage = retrying(deadlines(lossy, { clock: sim.clock, timeoutMs: 100 }), { clock: sim.clock, tries: 30 })
    for (let i = 0; i < 10; i++) await storage.blobs.put(`s/0/id/seg/${i}`, bytes(i))
    expect((await storage.blobs.list('s/')).items.length).toBe(10)
  })
})
