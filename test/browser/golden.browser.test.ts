/** The golden rows, which Node has written over fake-indexeddb, in the browser's own IndexedDB. */
import { expect, test } from 'vitest'
import { openStore } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import { forAdapter } from '../support/counting.js'
import { rowsIn } from '../support/packed.js'
import { readAll } from '../support/read-all.js'
import { putRows, readRows } from '../support/rows.js'
import { collect, freshName } from './storages.js'

forAdapter('indexedDb')

test('a database of version 1 is readable for ever', async () => {
  const rows = rowsIn(await (await fetch(new URL('../golden/format-1-rows.json', import.meta.url))).text())
  const name = freshName()
  await putRows(indexedDB, name, rows)
  expect(await readRows(indexedDB, name)).toEqual(rows)
  const storage = indexedDb(name)
  const store = await openStore({ storage, name: 'rows', mode: 'follower' })
  const entries = Object.fromEntries(await collect(store.entries()))
  expect(entries).toEqual({ large: 'a'.repeat(62_000), middle: 'b'.repeat(20_000), small: 2, tail: true })
  await store.close()
  await readAll(storage, 'rows')
})
