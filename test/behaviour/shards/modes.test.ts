/** The mode of a store across splits and merges: it counts until the last writer has closed the store, whichever log it wrote. */
import { openStore, type OpenOptions, type Storage } from 'tidemark'
import { rescale } from 'tidemark/group'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../support/storages.js'

const PARTITIONS = 4
const open = (storage: Storage, options: Partial<OpenOptions<number>>) =>
  openStore<string, number>({ storage, name: 's', partitions: PARTITIONS, logger: false, ...options })
const place = (storage: Storage) => ({ storage, name: 's' })
const PLACES = [
  ['memory', (): Storage => memory()],
  ['nodeFs', (): Storage => nodeFs(temporaryFolder())],
] as const
const MODES = [
  ['shared', 'exclusive'],
  ['exclusive', 'shared'],
] as const

describe.each(PLACES)('on %s', (_, make) => {
  test.each(MODES)('a %s store that was closed is opened %s after a split and a merge', async (mode, other) => {
    const storage = make()
    const store = await open(storage, { mode })
    await store.set('a', 1)
    await store.close()
    await rescale(place(storage), { shards: 2 })
    for (const shard of [0, 3]) await (await open(storage, { mode: other, shard })).close()
    await rescale(place(storage), { shards: 1 })
    const again = await open(storage, { mode })
    expect(await again.get('a')).toBe(1)
    await again.close()
  })

  test('one that somebody still writes is not, until it is closed', async () => {
    const storage = make()
    const writer = await open(storage, { mode: 'shared' })
    await writer.set('a', 1)
    await rescale(place(storage), { shards: 2 })
    await rescale(place(storage), { shards: 4 })
    await expect(open(storage, { mode: 'exclusive', shard: 0 })).rejects.toMatchObject({ code: 'CONFLICT' })
    await writer.close()
    await (await open(storage, { mode: 'exclusive', shard: 0 })).close()
  })
})
