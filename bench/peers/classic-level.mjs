import { ClassicLevel } from 'classic-level'

/** LevelDB with its own encoding of JSON, or of text; every write is synced. */
export async function open(folder, { values, cacheBytes = 32 << 20 }) {
  const db = new ClassicLevel(folder, { valueEncoding: values === 'objects' ? 'json' : 'utf8', cacheSize: cacheBytes })
  await db.open()
  let batch = []
  const write = (changes) => db.batch(changes, { sync: true })
  return {
    put: (key, value) => batch.push({ type: 'put', key, value }),
    commit() {
      const changes = batch
      batch = []
      return write(changes)
    },
    commitAt(offset) {
      batch.push({ type: 'put', key: '!offset', value: values === 'objects' ? offset : String(offset) })
      return this.commit()
    },
    set: (key, value) => db.put(key, value, { sync: true }),
    get: (key) => db.get(key),
    getSync: (key) => db.getSync(key),
    async scan() {
      let rows = 0
      for await (const _ of db.iterator()) rows++
      return rows
    },
    close: () => db.close(),
  }
}
