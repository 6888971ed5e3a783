/** The store that a driver stands on, shown with Keyv's: opened once, opened again, closed by whoever opened it. */
import { expect, test } from 'vitest'
import { openStore, type OpenOptions, type Storage } from 'tidemark'
import { KeyvTidemark } from 'tidemark/keyv'
import { memory } from 'tidemark/memory'
import { tidemarkDriver } from 'tidemark/unstorage'
import { faulty, type Fault, type Point } from 'tidemark/testing'

/** Fails as `fault` says while there is one. */
function failing(inner: Storage = memory()): {
  storage: Storage
  fail: (decide?: (point: Point) => Fault | undefined) => void
} {
  let current: ((point: Point) => Fault | undefined) | undefined
  const storage = faulty(inner, (point) => current?.(point))
  return { storage, fail: (decide) => (current = decide) }
}
const appends =
  (fault: Fault) =>
  ({ method }: Point): Fault | undefined =>
    method === 'append' ? fault : undefined
const code = (wanted: string): object => expect.objectContaining({ code: wanted })

test('is opened once by calls at once, and kept open', async () => {
  let logs = 0
  const { storage, fail } = failing()
  fail(({ method }) => {
    if (method === 'append') logs++
    return undefined
  })
  const keyv = new KeyvTidemark({ storage, name: 'app' })
  expect(logs).toBe(0)
  await Promise.all(Array.from({ length: 20 }, (_, i) => keyv.has(`${i}`)))
  const opened = logs
  await keyv.has('again')
  expect(logs).toBe(opened)
  await keyv.disconnect()
})

test('is opened at the next call when it could not be opened', async () => {
  const { storage, fail } = failing()
  const keyv = new KeyvTidemark({ storage, name: 'app' })
  fail(() => 'error-before')
  await expect(keyv.set('a', 1)).rejects.toThrow(code('STORAGE_UNAVAILABLE'))
  fail()
  await keyv.set('a', 2)
  expect(await keyv.get('a')).toBe(2)
  await keyv.disconnect()
  await new KeyvTidemark({ storage, name: 'app' }).disconnect()
})

test('is opened again by a driver that owns it, after an outcome that nobody knows', async () => {
  const { storage, fail } = failing()
  const options: OpenOptions = { storage, name: 'app', timeoutMs: 20 }
  const keyv = new KeyvTidemark(options)
  await keyv.set('a', 1)
  fail(appends('unknown-before'))
  const both = await Promise.allSettled([keyv.set('a', 2), keyv.set('b', 2)])
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  fail()
  // The reopening that began while nothing answered may have failed; one is tried after each call that fails so.
  await expect.poll(() => keyv.set('a', 3).catch(() => false)).toBe(true)
  expect(await keyv.get('a')).toBe(3)
  await keyv.disconnect()
})

test('is not opened again where it was handed in, or was taken over by others', async () => {
  const { storage, fail } = failing()
  const store = await openStore({ storage, name: 'app', timeoutMs: 20 })
  const keyv = new KeyvTidemark(store)
  await keyv.set('a', 1)
  fail(appends('unknown-before'))
  await expect(keyv.set('a', 2)).rejects.toThrow(code('UNKNOWN_OUTCOME'))
  fail()
  await expect(keyv.set('a', 2)).rejects.toThrow(code('UNKNOWN_OUTCOME'))
  await store.reopen()
  await keyv.set('a', 3)
  const other = new KeyvTidemark({ storage, name: 'app' })
  await other.set('a', 4)
  await expect(keyv.set('a', 5)).rejects.toThrow(code('FENCED'))
  await expect(keyv.set('a', 5)).rejects.toThrow(code('FENCED'))
  expect(await other.get('a')).toBe(4)
  await other.disconnect()
  await store.close()
})

test('is opened again by a call after it was closed', async () => {
  const keyv = new KeyvTidemark({ storage: memory(), name: 'app' })
  await keyv.disconnect()
  await keyv.set('a', 1)
  await keyv.disconnect()
  expect(await keyv.get('a')).toBe(1)
  await keyv.disconnect()
})

test('shows what other processes have written where reads ask for it, and in shared mode all of them write', async () => {
  const options: OpenOptions = { storage: memory(), name: 'app', mode: 'shared' }
  const [a, b] = [new KeyvTidemark(options, { fresh: true }), new KeyvTidemark(options, { fresh: true })]
  const [c, d] = [tidemarkDriver(options, { fresh: true }), tidemarkDriver(options, { fresh: true })]
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    await one.set('k', 1)
    expect([await other.has('k'), await other.get('k'), await other.getMany(['k'])]).toEqual([true, 1, [1]])
    await one.delete('k')
    expect([await other.get('k'), await other.hasMany(['k'])]).toEqual([undefined, [false]])
    await one.clear()
  }
  await c.setItem('x:1', 'text', { ttl: 60 })
  expect([await d.hasItem('x:1'), await d.getItem('x:1'), await d.getKeys('x:')]).toEqual([true, 'text', ['x:1']])
  await d.clear('x:')
  expect([await c.getMeta('x:1'), await c.getItemRaw('x:1'), await c.getItems([{ key: 'x:1' }])]).toEqual([
    null,
    null,
    [{ key: 'x:1', value: null }],
  ])
  await Promise.all([a, b].flatMap((keyv, k) => Array.from({ length: 50 }, (_, i) => keyv.set(`${k}-${i}`, i))))
  let count = 0
  for await (const _ of a.iterator()) count++
  expect(count).toBe(100)
  await Promise.all([a.disconnect(), b.disconnect(), c.dispose(), d.dispose()])
})
