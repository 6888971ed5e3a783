/** Parts that are loaded when they are first needed. */
import { expect, test } from 'vitest'
import { loadParts, Part } from '../../src/part.js'

test('a part is loaded once, and from then on used in the very turn of the call', async () => {
  let loads = 0
  const part = new Part(() => Promise.resolve({ n: ++loads }))
  expect(part.loaded).toBeUndefined()
  const uses: string[] = []
  const first = part.use(({ n }) => uses.push(`first ${n}`))
  const second = part.use(({ n }) => uses.push(`second ${n}`))
  expect(uses).toEqual([])
  await Promise.all([first, second])
  void part.use(({ n }) => uses.push(`third ${n}`))
  expect(uses).toEqual(['first 1', 'second 1', 'third 1'])
  await expect(
    part.use(() => {
      throw new Error('of its own')
    }),
  ).rejects.toThrow('of its own')
  expect(loads).toBe(1)
})

test('calls are served in their order, whoever finds the part there first', async () => {
  const part = new Part(() => Promise.resolve('it'))
  const uses: number[] = []
  const use = (n: number) => part.use(() => uses.push(n))
  const loaded = part.load().then(() => use(3))
  await Promise.all([use(1), use(2), loaded])
  expect(uses).toEqual([1, 2, 3])
})

test('one that cannot be loaded says so, and is tried again by the next call', async () => {
  let isThere = false
  const cause = new TypeError('Failed to fetch dynamically imported module')
  const part = new Part(() => (isThere ? Promise.resolve('it') : Promise.reject(cause)))
  const failed = { code: 'STORAGE_UNAVAILABLE', retryable: true, cause }
  await expect(part.use((it) => it)).rejects.toMatchObject(failed)
  await expect(part.load()).rejects.toMatchObject(failed)
  isThere = true
  expect(await part.use((it) => it)).toBe('it')
})

test('all can be loaded beforehand, with those of what is loaded', async () => {
  let inner: Part<string> | undefined
  const outer = new Part(() => {
    inner = new Part(() => Promise.resolve('inner'))
    return Promise.resolve('outer')
  })
  await loadParts()
  expect([outer.loaded, inner?.loaded]).toEqual(['outer', 'inner'])
})
