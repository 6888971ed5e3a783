/** Old handles on a database that was deleted: nothing of theirs lands in the one that came in its place. */
import { describe, expect, test } from 'vitest'
import { openStore, type Store } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import { code, hold, text } from './injected.js'
import { deleteDatabase, freshName } from './storages.js'
import { forAdapter } from '../support/counting.js'

forAdapter('indexedDb')

describe('indexedDb()', () => {
  test.each<[string, (store: Store<string, unknown>) => Promise<unknown>]>([
    ['checkpoint()', (store) => store.checkpoint()],
    ['maintain()', (store) => store.maintain()],
    ['tag()', (store) => store.tag('t')],
    ['fork()', (store) => store.fork('f')],
    [
      'a commit that is folded at once',
      async (store) => {
        store.put('b', 'x'.repeat(2 << 20))
        await store.commit()
      },
    ],
  ])('%s after the database was deleted is ROLLED_BACK, and the store opens anew', async (_, act) => {
    const name = freshName()
    const store = await openStore<string, unknown>({ storage: indexedDb(name), name: 's' })
    store.put('a', 1)
    await store.commit()
    await deleteDatabase(name)
    await expect(act(store)).rejects.toThrow(code('ROLLED_BACK'))
    await store.close()
    expect(await keysIn(name)).toEqual([])
    const anew = await openStore({ storage: indexedDb(name), name: 's' })
    expect(anew.version).toBe(0)
    await anew.close()
  })

  test('nothing of an old handle lands in a database that another has made anew', async () => {
    const name = freshName()
    const storage = indexedDb(name)
    const anchor = storage.anchor('s/0/anchor')
    await anchor.read()
    await storage.log('s/0/id').append(1, text('1'), 1)
    await storage.log('s/0/id').close()
    await deleteDatabase(name)
    await indexedDb(name).logs('')
    const writes: [string, () => Promise<unknown>][] = [
      ['the anchor', () => anchor.swap(undefined, text('a'), 0)],
      ['a segment', () => storage.blobs.put('s/0/id/seg/a', text('a'))],
      ['a pin', () => storage.blobs.put('s/0/id/pins/a', text('a'))],
      ['a log that it was about to create', () => storage.log('s/0/other').append(1, text('1'), 1)],
    ]
    for (const [what, write] of writes) {
      const error = await write().catch((e: unknown) => e)
      expect([what, error]).toEqual([what, code('ROLLED_BACK')])
    }
    expect(await keysIn(name)).toEqual([])
    // Who begins anew on the same storage reads the anchor again.
    expect((await storage.anchor('s/0/anchor').read()).bytes).toBeUndefined()
    expect(await storage.log('s/0/anew').append(1, text('1'), 1)).toEqual({ outcome: 'committed' })
    await storage.blobs.put('s/0/anew/seg/a', text('a'))
    expect(await storage.anchor('s/0/anchor').swap(undefined, text('a'), 0)).toMatchObject({ outcome: 'committed' })
  })
})

/** The names of all objects in a database. */
async function keysIn(name: string): Promise<IDBValidKey[]> {
  const db = await hold(name)
  try {
    if (db.objectStoreNames.length === 0) return []
    const request = db.transaction('objects').objectStore('objects').getAllKeys()
    await new Promise((resolve) => request.addEventListener('success', resolve))
    return request.result
  } finally {
    db.close()
  }
}
