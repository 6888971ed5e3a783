/** Copies of stores that were split: only a store of one shard is pushed, exported and written over, whatever it was before. */
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { backups, exportZip, importZip, pull, push } from 'tidemark/transfer'
import { expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { contents, keyIn, open, PARTITIONS, write } from '../../support/sharded.js'
import { collect } from '../../support/storages.js'

const ALL = Array.from({ length: PARTITIONS }, (_, i) => i)
const place = (storage: Storage, name = 's') => ({ storage, name })
const several = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('rescale(') as string }

function put(storage: Storage, partitions: readonly number[], value: number): Promise<number> {
  return write(storage, partitions[0]!, (store) => {
    for (const partition of partitions) store.put(keyIn(partition), value)
  })
}

async function shown(storage: Storage): Promise<[string, number][]> {
  const store = await open(storage, { mode: 'follower' })
  const all = await contents(store)
  await store.close()
  return all
}

test('a store of several shards is copied nowhere, and nothing is copied over it', async () => {
  const [storage, other] = [memory(), memory()]
  await put(storage, ALL, 1)
  await push(place(storage), place(other))
  await rescale(place(storage), { shards: 2 })
  await expect(push(place(storage), place(other))).rejects.toMatchObject(several)
  await expect(pull(place(storage), place(other))).rejects.toMatchObject(several)
  await expect(collect(exportZip(place(storage)))).rejects.toMatchObject(several)
  await expect(backups(place(storage))).rejects.toMatchObject(several)
})

test('one that was merged again is pushed on, exported and pulled into', async () => {
  const [storage, other] = [memory(), memory()]
  await put(storage, ALL, 1)
  await push(place(storage), place(other))
  await rescale(place(storage), { shards: 3 })
  await put(storage, [5], 2)
  await rescale(place(storage), { shards: 1 })
  await push(place(storage), place(other), { tag: 'backup' })
  expect(await shown(other)).toEqual(await shown(storage))
  await put(storage, [0, 7], 3)
  await push(place(storage), place(other))
  expect(await shown(other)).toEqual(await shown(storage))
  expect((await backups(place(other))).map(({ name }) => name)).toEqual(['backup'])

  const third = memory()
  await importZip(exportZip(place(storage)), place(third))
  expect(await shown(third)).toEqual(await shown(storage))

  const copy = await open(other)
  copy.put(keyIn(3), 4)
  await copy.commit()
  await copy.close()
  await expect(pull(place(storage), place(other))).resolves.toMatchObject({ copied: expect.any(Number) as number })
  expect(await shown(storage)).toEqual(await shown(other))
})

test('a version from before a merge is not copied', async () => {
  const storage = memory()
  await put(storage, ALL, 1)
  const store = await open(storage)
  await store.tag('before')
  await store.close()
  await rescale(place(storage), { shards: 2 })
  await rescale(place(storage), { shards: 1 })
  await expect(push(place(storage), place(memory()), { at: 'before' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  })
})
