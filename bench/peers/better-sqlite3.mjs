import { join } from 'node:path'
import Database from 'better-sqlite3'

/** SQLite in WAL mode with synchronous = FULL; objects are JSON text. Its calls block the event loop. */
export async function open(folder, { values, cacheBytes = 32 << 20 }) {
  const db = new Database(join(folder, 'bench.sqlite'))
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.pragma(`cache_size = -${Math.ceil(cacheBytes / 1024)}`)
  db.exec('create table if not exists rows (key text primary key, value) without rowid')
  const [encode, decode] = values === 'objects' ? [JSON.stringify, JSON.parse] : [(v) => v, (v) => v]
  const upsert = db.prepare('insert into rows values (?, ?) on conflict (key) do update set value = excluded.value')
  const select = db.prepare('select value from rows where key = ?').pluck()
  const all = db.prepare('select key, value from rows order by key').raw()
  let batch = []
  const write = db.transaction((changes) => {
    for (const [key, value] of changes) upsert.run(key, encode(value))
  })
  const get = (key) => {
    const value = select.get(key)
    return value === undefined ? undefined : decode(value)
  }
  return {
    put: (key, value) => batch.push([key, value]),
    async commit() {
      const changes = batch
      batch = []
      write(changes)
    },
    commitAt(offset) {
      batch.push(['!offset', values === 'objects' ? offset : String(offset)])
      return this.commit()
    },
    async set(key, value) {
      upsert.run(key, encode(value))
    },
    get: async (key) => get(key),
    getSync: get,
    async scan() {
      let rows = 0
      for (const [, value] of all.iterate()) {
        decode(value)
        rows++
      }
      return rows
    },
    close: () => db.close(),
  }
}
