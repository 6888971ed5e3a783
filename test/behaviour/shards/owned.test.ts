/** An owner splits and merges what it owns: it goes on without a fence, and what it commits is closed for two round trips only. */
import { openStore, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { describe, expect, test } from 'vitest'
import { replaceOwned } from '../../../src/engine/shards/owned.js'
import { StoreHandle } from '../../../src/store/handle.js'
import { handleOf } from '../../../src/store/handles.js'
import { resolveOptions } from '../../../src/store/open-options.js'
import { Store } from '../../../src/store/store.js'
import { temporaryFolder } from '../../support/storages.js'

const name = 's'

async function adopt(storage: Storage, born: Parameters<typeof StoreHandle.adopt>[1]): Promise<Store<string, number>> {
  const handle = await StoreHandle.adopt(resolveOptions({ storage, name, mode: 'exclusive' }), born)
  return new Store<string, number>(handle, handle.spec('', handle.options.table))
}

describe.each([
  ['memory', () => memory()],
  ['files', () => nodeFs(temporaryFolder())],
])('on %s', (_, make) => {
  test('it splits one shard, writes both halves, and merges them again', async () => {
    const storage = make()
    const store = await openStore<string, number>({ storage, name, partitions: 4, mode: 'exclusive' })
    for (let i = 0; i < 40; i++) store.put(`k${i}`, i)
    await store.commit({ offsets: { clicks: 40 } })
    const member = new Uint8Array(16).fill(7)
    const turn = { generation: 3, member, isReleased: false, isTrial: false }
    const halves = [
      { first: 0, last: 1 },
      { first: 2, last: 3 },
    ]
    const { born, children } = await replaceOwned([handleOf(store).shard], halves, turn)
    expect(children.map(({ first, last }) => ({ first, last }))).toEqual(halves)
    await expect(store.commit()).rejects.toMatchObject({ code: 'FENCED' })
    await store.close()
    const stores = await Promise.all(born.map((living) => adopt(storage, living)))
    let commits = 0
    for (const each of stores) {
      expect(handleOf(each).state.carried.turn).toEqual(turn)
      const keys = await each.keys().next()
      each.put(keys.value as string, 1000)
      await each.commit({ offsets: { clicks: 41 + commits++ } })
    }
    const merged = await replaceOwned(
      stores.map((each) => handleOf(each).shard),
      [{ first: 0, last: 3 }],
      { ...turn, generation: 4 },
    )
    for (const each of stores) await each.close()
    const whole = await adopt(storage, merged.born[0]!)
    expect(await whole.count()).toBe(40)
    const values = await whole.toArray()
    expect(values.filter(([, value]) => value === 1000).length).toBe(2)
    whole.put('more', 1)
    await whole.commit()
    await whole.close()
    // It is a member's as long as no commit says that it was released.
    await expect(openStore({ storage, name, mode: 'exclusive' })).rejects.toMatchObject({ code: 'CONFLICT' })
    const again = await openStore<string, number>({ storage, name, mode: 'exclusive', force: true })
    expect(await again.get('more')).toBe(1)
    expect(await again.count()).toBe(41)
    await again.close()
  })
})
