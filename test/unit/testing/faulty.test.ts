import { expect, test } from 'vitest'
import { memory } from '../../../adapters/memory/index.js'
import { systemClock } from '../../../src/clock.js'
import { cutOff, faulty, flipBit, type Fault, type Point } from '../../../src/testing/index.js'

const bytes = new Uint8Array([1, 2, 3, 4])

async function answered(promise: Promise<unknown>): Promise<boolean> {
  let done = false
  const ended = (): void => void (done = true)
  promise.then(ended, ended)
  for (let i = 0; i < 5; i++) await systemClock.pause()
  return done
}

function once(fault: Fault) {
  const beneath = memory()
  return { beneath, storage: faulty(beneath, ({ index }) => (index === 0 ? fault : undefined)) }
}

test('faulty asks before every call, in order, counting from 0', async () => {
  const points: Point[] = []
  const storage = faulty(memory(), (point) => {
    points.push(point)
    return undefined
  })
  await storage.log('s/0/id').claim(1, bytes, 1)
  await storage.blobs.put('s/0/id/seg/a', bytes)
  await storage.logs('s/')
  expect(points).toEqual([
    { index: 0, target: 'log', method: 'claim', path: 's/0/id', n: 1 },
    { index: 1, target: 'blobs', method: 'put', path: 's/0/id/seg/a' },
    { index: 2, target: 'storage', method: 'logs', path: 's/' },
  ])
})

test('never-sent: nothing is applied and nothing is answered', async () => {
  const { beneath, storage } = once('never-sent')
  expect(await answered(storage.blobs.put('a', bytes))).toBe(false)
  expect((await beneath.blobs.get('a')).bytes).toBeUndefined()
  await storage.idle()
})

test('reply-lost: it is applied and nothing is answered; idle waits until it is applied', async () => {
  const { beneath, storage } = once('reply-lost')
  const put = storage.blobs.put('a', bytes)
  await storage.idle()
  expect((await beneath.blobs.get('a')).bytes).toEqual(bytes)
  expect(await answered(put)).toBe(false)
})

test('reply-lost: an error beneath is nobody’s unhandled rejection', async () => {
  const failing = faulty(memory(), () => 'quota')
  const storage = faulty(failing, () => 'reply-lost')
  expect(await answered(storage.blobs.put('a', bytes))).toBe(false)
  await storage.idle()
})

test('error-before: nothing is applied, every call throws STORAGE_UNAVAILABLE', async () => {
  const { beneath, storage } = once('error-before')
  await expect(storage.log('s/0/id').claim(1, bytes, 1)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  expect((await beneath.log('s/0/id').read(1)).bytes).toBeUndefined()
})

test('error-after: it is applied; creates and swaps answer unknown, others throw', async () => {
  const { beneath, storage } = once('error-after')
  expect(await storage.log('s/0/id').claim(1, bytes, 1)).toMatchObject({ outcome: 'unknown', settle: true })
  expect((await beneath.log('s/0/id').read(1)).bytes).toEqual(bytes)
  const other = once('error-after')
  await expect(other.storage.blobs.put('a', bytes)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  expect((await other.beneath.blobs.get('a')).bytes).toEqual(bytes)
})

test('unknown-before: looks like error-after, and nothing is applied', async () => {
  const { beneath, storage } = once('unknown-before')
  expect(await storage.anchor('s/0/anchor').swap(undefined, bytes, 0)).toMatchObject({ outcome: 'unknown' })
  expect((await beneath.anchor('s/0/anchor').read()).bytes).toBeUndefined()
})

test('quota: throws QUOTA, which is not to be repeated', async () => {
  const { storage } = once('quota')
  await expect(storage.blobs.put('a', bytes)).rejects.toMatchObject({ code: 'QUOTA', retryable: false })
})

test('corrupt: a read returns damaged bytes, and what is stored stays whole', async () => {
  const beneath = memory()
  await beneath.blobs.put('a', bytes)
  const damage: Fault[] = [{ corrupt: flipBit(9) }, { corrupt: cutOff(3) }]
  const storage = faulty(beneath, ({ index }) => damage[index])
  expect((await storage.blobs.get('a')).bytes).toEqual(new Uint8Array([1, 0, 3, 4]))
  expect((await storage.blobs.get('a')).bytes).toEqual(new Uint8Array([1]))
  expect((await storage.blobs.get('a')).bytes).toEqual(bytes)
  const log = beneath.log('s/0/id')
  for (const n of [1, 2]) await log.append(n, bytes, 1)
  const tail = faulty(beneath, () => ({ corrupt: cutOff(3) })).log('s/0/id')
  const entries = [new Uint8Array([1]), bytes].map((each, i) => ({ n: i + 1, bytes: each }))
  expect(await tail.readTail!(1)).toMatchObject({ entries })
  expect((await log.readTail!(1)).entries[0]!.bytes).toEqual(bytes)
  const absent = faulty(beneath, () => ({ corrupt: cutOff(1) }))
  expect((await absent.blobs.get('b')).bytes).toBeUndefined()
})
