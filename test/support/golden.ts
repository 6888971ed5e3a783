/** The golden sets in test/golden. */
import { readFileSync, writeFileSync } from 'node:fs'
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { objectsIn, rowsIn, textOf, type Objects, type Rows } from './packed.js'

const placeOf = (set: string): URL => new URL(`../golden/format-${set}.json`, import.meta.url)

/** The text of a golden file. */
export function goldenText(set: string): string {
  return readFileSync(placeOf(set), 'utf8')
}

export function goldenObjects(set: string): Objects {
  return objectsIn(goldenText(set))
}

export function goldenRows(set: string): Rows {
  return rowsIn(goldenText(set))
}

/** Once for each version of the format, by TIDEMARK_WRITE_GOLDEN=1, and never again after it has landed. */
export function writeGolden(set: string, content: Objects | Rows): void {
  writeFileSync(placeOf(set), textOf(content))
}

/** A storage in memory that holds the objects. */
export async function loadObjects(objects: Objects): Promise<Storage> {
  const storage = memory()
  for (const [name, bytes] of objects) {
    const entry = /^(.*)\/log\/(\d{16})$/.exec(name)
    if (entry) await storage.log(entry[1]!).append(Number(entry[2]), bytes, 1)
    else if (name.endsWith('/anchor')) await storage.anchor(name).swap(undefined, bytes, 0)
    else await storage.blobs.put(name, bytes)
  }
  return storage
}
