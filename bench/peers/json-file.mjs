import { existsSync, readFileSync } from 'node:fs'
import { open as openFile, rename } from 'node:fs/promises'
import { join } from 'node:path'

/** A Map, written whole for each commit: a temporary file, synced, then renamed. */
export async function open(folder) {
  const path = join(folder, 'state.json')
  const rows = new Map(existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : [])
  const write = async () => {
    const file = await openFile(`${path}.new`, 'w')
    await file.writeFile(JSON.stringify([...rows]))
    await file.datasync()
    await file.close()
    await rename(`${path}.new`, path)
    const directory = await openFile(folder, 'r')
    await directory.sync()
    await directory.close()
  }
  // One after the other: two at once would take each other's file away.
  let last = Promise.resolve()
  const save = () => (last = last.then(write))
  return {
    put: (key, value) => rows.set(key, value),
    commit: save,
    commitAt(offset) {
      rows.set('!offset', offset)
      return save()
    },
    set(key, value) {
      rows.set(key, value)
      return save()
    },
    get: async (key) => rows.get(key),
    getSync: (key) => rows.get(key),
    async scan() {
      let seen = 0
      for (const _ of rows) seen++
      return seen
    },
    close() {},
  }
}
