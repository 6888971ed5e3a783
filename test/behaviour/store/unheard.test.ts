import { afterEach, beforeEach, expect, test } from 'vitest'
import { openStore, systemClock } from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty } from 'tidemark/testing'
import { sleep } from '../../../src/clock.js'

const unheard: unknown[] = []
const note = (error: unknown): void => void unheard.push(error)
beforeEach(() => {
  unheard.length = 0
  process.on('unhandledRejection', note)
})
afterEach(() => process.off('unhandledRejection', note))

const SMALL = { blockBytes: 60, cacheBytes: 0 }

test('getMany() with a key that is refused begins no read that could fail unheard', async () => {
  let isDown = false
  const storage = faulty(memory(), ({ method }) => (isDown && method === 'get' ? 'error-before' : undefined))
  const store = await openStore({ storage, name: 's', ...SMALL })
  store.put(1, 1)
  await store.commit()
  await store.checkpoint()
  isDown = true
  const refused = { code: 'INVALID_ARGUMENT' }
  await expect(store.getMany([1, Number.NaN])).rejects.toMatchObject(refused)
  await expect(store.getMany([1])).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  await sleep(systemClock, 20)
  expect(unheard).toEqual([])
  await store.close()
})

test('a watch hears of both states when neither can be read', async () => {
  const storage = memory()
  const writer = await openStore({ storage, name: 's', ...SMALL })
  const write = async (round: number): Promise<void> => {
    for (let i = 0; i < 30; i++) writer.put(i, `round ${round}, value ${i}`)
    await writer.commit()
    await writer.checkpoint()
  }
  await write(0)
  for (let left = 0; left < 24; left += 2) {
    let gets = Infinity
    const failing = faulty(storage, ({ target, method }) =>
      target === 'blobs' && method === 'get' && gets-- <= 0 ? 'error-before' : undefined,
    )
    const follower = await openStore({ storage: failing, name: 's', mode: 'follower', ...SMALL })
    const warned = new Promise((resolve) => follower.on('warning', resolve))
    follower.watch({}, () => undefined)
    await write(left + 1)
    gets = left
    await follower.refresh()
    await warned
    await sleep(systemClock, 5)
    await follower.close()
  }
  expect(unheard).toEqual([])
  await writer.close()
})
