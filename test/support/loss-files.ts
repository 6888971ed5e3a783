/** A `LossWorld` on the files of a model of a file system. */
import { systemClock, type Clock } from 'tidemark'
import { fileStorage } from '../../adapters/node-fs/storage.js'
import type { LossWorld } from './loss-worlds.js'
import { ModelFs } from './model-fs.js'
import { File, Folder } from './model-fs-disk.js'

/** Short waits are over at once, and have taken their time all the same. */
function quickClock(): Clock {
  let passed = 0
  return {
    ...systemClock,
    monotonic: () => systemClock.monotonic() + passed,
    timer(ms, run, options) {
      if (ms >= 1_000) return systemClock.timer(ms, run, options)
      return systemClock.timer(
        0,
        () => {
          passed += ms
          run()
        },
        options,
      )
    },
  }
}

/** Zeros that are kept of the room which a log file has beyond its records. */
const ROOM = 72

export function filesWorld(): LossWorld {
  const root = new Folder()
  const disk = new Folder()
  root.change({ name: 'disk', node: disk })
  root.sync()
  const folderOf = (path: string, make: boolean): Folder | undefined => {
    let folder = disk
    for (const name of path.split('/').slice(0, -1)) {
      let below = folder.names.get(name)
      if (below === undefined) {
        if (!make) return undefined
        below = new Folder()
        folder.change({ name, node: below })
        folder.sync()
      }
      folder = below as Folder
    }
    return folder
  }
  const last = (path: string): string => path.slice(path.lastIndexOf('/') + 1)
  const walk = (folder: Folder, at: string, found: Map<string, Uint8Array>): Map<string, Uint8Array> => {
    for (const [name, node] of folder.names) {
      if (name.startsWith('probe-')) continue
      if (node instanceof Folder) walk(node, `${at}${name}/`, found)
      else found.set(at + name, withoutRoom(node.cache))
    }
    return found
  }
  return {
    storage: fileStorage(new ModelFs(root).process(), '/disk', quickClock()),
    dump: async (store) => {
      const folder = disk.names.get(store)
      return folder instanceof Folder ? walk(folder, `${store}/`, new Map()) : new Map()
    },
    async lose(names) {
      for (const path of names) {
        const folder = folderOf(path, false)
        folder?.change({ name: last(path), node: undefined })
        folder?.sync()
      }
    },
    async put(objects) {
      for (const [path, bytes] of objects) {
        const folder = folderOf(path, true)!
        const file = new File()
        file.replace(bytes.slice())
        folder.change({ name: last(path), node: file })
        folder.sync()
      }
    },
  }
}

function withoutRoom(bytes: Uint8Array): Uint8Array {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return bytes.slice(0, end + ROOM)
}
