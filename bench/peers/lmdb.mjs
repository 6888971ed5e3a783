import { open as openLmdb } from 'lmdb'

/** LMDB with msgpack, or text. A transaction is durable when `flushed` resolves. */
export async function open(folder, { values }) {
  const db = openLmdb({ path: folder, encoding: values === 'objects' ? 'msgpack' : 'string', mapSize: 8 << 30 })
  let batch = []
  const write = async (changes) => {
    await db.transaction(() => {
      for (const [key, value] of changes) db.putSync(key, value)
    })
    await db.flushed
  }
  return {
    put: (key, value) => batch.push([key, value]),
    commit() {
      const changes = batch
      batch = []
      return write(changes)
    },
    commitAt(offset) {
      batch.push(['!offset', values === 'objects' ? offset : String(offset)])
      return this.commit()
    },
    async set(key, value) {
      await db.put(key, value)
      await db.flushed
    },
    get: async (key) => db.get(key),
    getSync: (key) => db.get(key),
    async scan() {
      let rows = 0
      for (const _ of db.getRange()) rows++
      return rows
    },
    close: () => db.close(),
  }
}
