/**
 * The same handful of calls on what a page would otherwise keep its rows in. All run in one worker: SQLite's synchronous
 * files are there alone. Each peer loads its library, and answers what opens a database under the origin.
 */
const NAME = 'bench'

export const peers = {
  tidemark,
  'raw IndexedDB': raw,
  idb,
  dexie,
  'browser-level': browserLevel,
  'sqlite-wasm': sqlite,
  tinybase,
}

async function tidemark() {
  const [{ openStore }, { indexedDb }] = await Promise.all([import('tidemark'), import('tidemark/indexeddb')])
  return async () => {
    const store = await openStore({ storage: indexedDb(NAME), name: 'rows', mode: 'exclusive' })
    return {
      async write(rows) {
        for (const [key, value] of rows) store.put(key, value)
        await store.commit()
      },
      get: (key) => store.get(key),
      async scan() {
        let rows = 0
        for await (const _ of store.entries()) rows++
        return rows
      },
      close: () => store.close(),
    }
  }
}

async function raw() {
  return async () => {
    const db = await new Promise((resolve, reject) => {
      const request = indexedDB.open(NAME, 1)
      request.onupgradeneeded = () => request.result.createObjectStore('rows')
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
    return {
      write: (rows) =>
        new Promise((resolve, reject) => {
          const tx = db.transaction('rows', 'readwrite', { durability: 'strict' })
          const store = tx.objectStore('rows')
          for (const [key, value] of rows) store.put(value, key)
          tx.oncomplete = () => resolve()
          tx.onabort = () => reject(tx.error)
        }),
      get: (key) =>
        new Promise((resolve, reject) => {
          const request = db.transaction('rows').objectStore('rows').get(key)
          request.onsuccess = () => resolve(request.result)
          request.onerror = () => reject(request.error)
        }),
      scan: () =>
        new Promise((resolve, reject) => {
          let rows = 0
          const request = db.transaction('rows').objectStore('rows').openCursor()
          request.onsuccess = () => {
            if (request.result === null) return resolve(rows)
            rows += request.result.value === undefined ? 0 : 1
            request.result.continue()
          }
          request.onerror = () => reject(request.error)
        }),
      close: () => db.close(),
    }
  }
}

async function idb() {
  const { openDB } = await import('idb')
  return async () => {
    const db = await openDB(NAME, 1, { upgrade: (made) => made.createObjectStore('rows') })
    return {
      async write(rows) {
        const tx = db.transaction('rows', 'readwrite', { durability: 'strict' })
        for (const [key, value] of rows) void tx.store.put(value, key)
        await tx.done
      },
      get: (key) => db.get('rows', key),
      async scan() {
        let rows = 0
        for (let at = await db.transaction('rows').store.openCursor(); at; at = await at.continue()) rows++
        return rows
      },
      close: () => db.close(),
    }
  }
}

async function dexie() {
  const { Dexie } = await import('dexie')
  return async () => {
    const db = new Dexie(NAME, { chromeTransactionDurability: 'strict' })
    db.version(1).stores({ rows: '' })
    await db.open()
    return {
      write: (rows) =>
        db.rows.bulkPut(
          rows.map(([, value]) => value),
          rows.map(([key]) => key),
        ),
      get: (key) => db.rows.get(key),
      async scan() {
        let rows = 0
        await db.rows.each(() => void rows++)
        return rows
      },
      close: () => db.close(),
    }
  }
}

/** It has no strict durability. */
async function browserLevel() {
  const { BrowserLevel } = await import('browser-level')
  return async () => {
    const db = new BrowserLevel(NAME, { valueEncoding: 'json' })
    await db.open()
    return {
      write: (rows) => db.batch(rows.map(([key, value]) => ({ type: 'put', key, value }))),
      get: (key) => db.get(key),
      async scan() {
        let rows = 0
        for await (const _ of db.iterator()) rows++
        return rows
      },
      close: () => db.close(),
    }
  }
}

async function sqlite() {
  const { default: init } = await import('@sqlite.org/sqlite-wasm')
  return async () => {
    const sqlite3 = await init({ locateFile: (file) => `/wasm/${file}` })
    const pool = await sqlite3.installOpfsSAHPoolVfs({ name: NAME })
    const db = new pool.OpfsSAHPoolDb('/bench.sqlite')
    db.exec('pragma journal_mode = truncate; pragma synchronous = full; pragma cache_size = -32768')
    db.exec('create table if not exists rows (key text primary key, value text) without rowid')
    const upsert = db.prepare('insert into rows values (?, ?) on conflict (key) do update set value = excluded.value')
    const select = db.prepare('select value from rows where key = ?')
    return {
      async write(rows) {
        db.transaction(() => {
          for (const [key, value] of rows) upsert.bind([key, JSON.stringify(value)]).stepReset()
        })
      },
      async get(key) {
        select.bind([key])
        const value = select.step() ? JSON.parse(select.get(0)) : undefined
        select.reset()
        return value
      },
      async scan() {
        let rows = 0
        const all = db.prepare('select key, value from rows order by key')
        while (all.step()) {
          JSON.parse(all.get(1))
          rows++
        }
        all.finalize()
        return rows
      },
      close() {
        upsert.finalize()
        select.finalize()
        db.close()
        pool.pauseVfs()
      },
    }
  }
}

/** A store in memory that is saved whole; it has no strict durability. */
async function tinybase() {
  const { createStore } = await import('tinybase')
  const { createIndexedDbPersister } = await import('tinybase/persisters/persister-indexed-db')
  return async () => {
    const store = createStore()
    const persister = createIndexedDbPersister(store, NAME)
    await persister.load()
    return {
      async write(rows) {
        store.transaction(() => {
          // Its cells hold no lists.
          for (const [key, { tags, ...row }] of rows) store.setRow('rows', key, { ...row, tags: tags.join() })
        })
        await persister.save()
      },
      get: async (key) => store.getRow('rows', key),
      async scan() {
        let rows = 0
        store.forEachRow('rows', (id) => void (rows += store.getRow('rows', id) ? 1 : 0))
        return rows
      },
      close: () => persister.destroy(),
    }
  }
}
