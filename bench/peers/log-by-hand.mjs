import { existsSync, readFileSync } from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A Map and an append-only file of JSON lines, synced for each commit; it never shrinks. */
export async function open(folder, { values }) {
  const path = join(folder, 'log.ndjson')
  const rows = new Map()
  if (existsSync(path)) {
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      if (line === '') continue
      const [key, value] = JSON.parse(line)
      rows.set(key, value)
    }
  }
  const file = await openFile(path, 'a')
  let batch = []
  const append = async (changes) => {
    await file.write(`${changes.map((change) => JSON.stringify(change)).join('\n')}\n`)
    await file.datasync()
  }
  return {
    put(key, value) {
      rows.set(key, value)
      batch.push([key, value])
    },
    commit() {
      const changes = batch
      batch = []
      return append(changes)
    },
    commitAt(offset) {
      batch.push(['!offset', values === 'objects' ? offset : String(offset)])
      return this.commit()
    },
    set(key, value) {
      rows.set(key, value)
      return append([[key, value]])
    },
    get: async (key) => rows.get(key),
    getSync: (key) => rows.get(key),
    async scan() {
      let seen = 0
      for (const _ of rows) seen++
      return seen
    },
    close: () => file.close(),
  }
}
