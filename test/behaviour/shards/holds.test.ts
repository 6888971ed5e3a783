/** A restore holds the segments of logs before a seal that it is about to name, as long as nobody else may know of them. */
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { decodePin } from '../../../src/log/pin.js'
import { intercept } from '../../../src/storage/intercept.js'
import { contents, keyIn, open, PARTITIONS, write } from '../../support/sharded.js'

async function holdsIn(storage: Storage): Promise<string[]> {
  const { items } = await storage.blobs.list('s/')
  const pins = items.flatMap(({ name }) => (name.includes('/pins/') ? name : []))
  const read = await Promise.all(pins.map(async (name) => decodePin((await storage.blobs.get(name)).bytes!, name)))
  return read.flatMap(({ kind, name }) => (kind === 'hold' ? name : []))
}

test.each([
  ['a version of before the split', false],
  ['a tag of its own', true],
])('%s is held while it is put back', async (_, isTag) => {
  const storage = memory()
  const root = await open(storage)
  for (let i = 0; i < PARTITIONS; i++) root.put(keyIn(i), i)
  const { version } = await root.commit()
  await root.checkpoint()
  await root.close()
  await rescale({ storage, name: 's' }, { shards: 2 })
  const before = await open(storage, { shard: 0 })
  await before.tag('first')
  await before.close()
  await write(storage, 0, (store) => store.put(keyIn(0), 10))
  const held: string[][] = []
  const watched = intercept(storage, async (call, run) => {
    const answer = await run(call.signal)
    if (call.target === 'log' && (call.method === 'append' || call.method === 'claim'))
      held.push(await holdsIn(storage))
    return answer
  })
  const store = await open(watched, { shard: 0 })
  held.length = 0
  const restored = await store.restore(isTag ? 'first' : version)
  expect(held.length).toBe(1)
  expect(held[0]!.map((name) => name.slice(name.indexOf('#')))).toEqual([`#${restored.version}`])
  expect(await holdsIn(storage)).toEqual([])
  expect((await contents(store)).map(([, value]) => value).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3])
  await store.close()
})
