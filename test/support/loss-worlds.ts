/** Storages of which single objects can be lost and put back, behind everybody's back. */
import type { Storage } from 'tidemark'
import { decodeAnchor } from '../../src/log/anchor.js'

export type Objects = ReadonlyMap<string, Uint8Array>

/** Where stores are looked at as objects by name, on files as files by path. */
export interface LossWorld {
  readonly storage: Storage
  /** All files or objects of a store. */
  dump(store: string): Promise<Map<string, Uint8Array>>
  lose(names: readonly string[]): Promise<void>
  put(objects: Objects): Promise<void>
}

const ENTRY = /^(.+)\/log\/(\d{16})$/

export const isEntry = (name: string): boolean => ENTRY.test(name)
export const numberOf = (name: string): number => Number(ENTRY.exec(name)?.[2])

/** Every object of a store: entries and anchors by the names that docs/format.md gives them. */
export async function objectsOf(storage: Storage, name: string): Promise<Map<string, Uint8Array>> {
  const objects = new Map<string, Uint8Array>()
  const { bytes } = await storage.anchor(`${name}/0/anchor`).read()
  if (bytes) objects.set(`${name}/0/anchor`, bytes)
  for (const path of (await storage.logs(`${name}/`)).paths) {
    const log = storage.log(path)
    for (const n of (await log.list(1)).numbers)
      objects.set(`${path}/log/${String(n).padStart(16, '0')}`, (await log.read(n)).bytes!)
    await log.close()
  }
  for (const blob of (await storage.blobs.list(`${name}/`)).items)
    objects.set(blob.name, (await storage.blobs.get(blob.name)).bytes!)
  return objects
}

/** On a storage of objects: what is lost is removed, through the contract. */
export function objectsWorld(storage: Storage): LossWorld {
  return {
    storage,
    dump: (store) => objectsOf(storage, store),
    async lose(names) {
      for (const name of names) {
        const [, path, n] = ENTRY.exec(name) ?? []
        if (path) await storage.log(path).remove([Number(n)])
        else if (name.endsWith('/anchor')) await storage.anchor(name).remove()
        else await storage.blobs.delete([name])
      }
    },
    async put(objects) {
      const anchors = [...objects].filter(([name]) => name.endsWith('/anchor'))
      const trims = new Map<string, number>()
      for (const folder of new Set([...objects.keys()].map((name) => name.split('/', 2).join('/')))) {
        const { bytes } = await storage.anchor(`${folder}/anchor`).read()
        if (bytes) trims.set(folder, decodeAnchor(bytes, folder).trim)
      }
      await Promise.all(
        [...objects].map(async ([name, bytes]) => {
          const [, path, n] = ENTRY.exec(name) ?? []
          if (path) {
            // Nobody reads it any more, and no storage takes it.
            if (Number(n) <= (trims.get(path.split('/', 2).join('/')) ?? 0)) return
            const { outcome } = await storage.log(path).append(Number(n), bytes, 1)
            if (outcome !== 'committed') throw new Error(`${name} could not be put back: ${outcome}.`)
          } else if (!name.endsWith('/anchor')) await storage.blobs.put(name, bytes)
        }),
      )
      for (const [name, bytes] of anchors) {
        const anchor = storage.anchor(name)
        await anchor.swap((await anchor.read()).token, bytes, decodeAnchor(bytes, name).trim)
      }
    },
  }
}
