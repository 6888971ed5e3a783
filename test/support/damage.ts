/** Damage done to each byte of a small store, on objects in memory and on the files of a model of a file system. */
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { fileStorage } from '../../adapters/node-fs/storage.js'
import { objectsOf } from './loss-worlds.js'
import { ModelFs } from './model-fs.js'
import { File, Folder } from './model-fs-disk.js'
import { briefClock, fillSmall, readDamaged, type Outcome, type Small } from './small-store.js'

/** The objects of a store by name, and a storage made of them, or of others in their place. */
export interface World {
  readonly small: Small
  readonly objects: ReadonlyMap<string, Uint8Array>
  storage(objects: ReadonlyMap<string, Uint8Array>): Promise<Storage>
}

const ENTRY = /^(.+)\/log\/(\d{16})$/

export async function memoryWorld(): Promise<World> {
  const storage = memory()
  const small = await fillSmall(storage)
  return { small, objects: await objectsOf(storage, 'small'), storage: storageOf }
}

export async function storageOf(objects: ReadonlyMap<string, Uint8Array>): Promise<Storage> {
  const storage = memory()
  for (const [name, bytes] of objects) {
    const [, path, n] = ENTRY.exec(name) ?? []
    if (path) await storage.log(path).append(Number(n), bytes, 1)
    else if (name.endsWith('/anchor')) await storage.anchor(name).swap(undefined, bytes, 0)
    else await storage.blobs.put(name, bytes)
  }
  return storage
}

/** Zeros that are kept of the room which a log file has beyond its records. */
const ROOM = 72

export async function filesWorld(): Promise<World> {
  const disk = new ModelFs()
  const fs = disk.process()
  const small = await fillSmall(fileStorage(fs, '/disk', briefClock))
  const objects = new Map<string, Uint8Array>()
  const walk = async (folder: string): Promise<void> => {
    for (const { name, kind } of await fs.entries(folder)) {
      if (name.startsWith('probe-')) continue
      if (kind === 'directory') await walk(`${folder}/${name}`)
      else objects.set(`${folder}/${name}`, withoutRoom(disk.bytes(`${folder}/${name}`)))
    }
  }
  await walk('/disk')
  return { small, objects, storage: async (files) => fileStorage(diskOf(files).process(), '/disk', briefClock) }
}

function withoutRoom(bytes: Uint8Array): Uint8Array {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return bytes.slice(0, end + ROOM)
}

function diskOf(files: ReadonlyMap<string, Uint8Array>): ModelFs {
  const root = new Folder()
  for (const [path, bytes] of files) {
    const parts = path.split('/').filter((part) => part !== '')
    let folder = root
    for (const name of parts.slice(0, -1)) {
      const found = folder.names.get(name) ?? new Folder()
      folder.change({ name, node: found })
      folder.sync()
      folder = found as Folder
    }
    const file = new File()
    file.replace(bytes.slice())
    folder.change({ name: parts.at(-1)!, node: file })
    folder.sync()
  }
  return new ModelFs(root)
}

/** One thing that is done to one object. */
export interface Blow {
  readonly name: string
  readonly what: string
  readonly bytes: Uint8Array
}

/** Every byte xor each of the patterns, which may differ from byte to byte. */
export function* flips({ objects }: World, patterns: (at: number) => readonly number[]): Generator<Blow> {
  for (const [name, bytes] of objects) {
    for (let at = 0; at < bytes.length; at++) {
      for (const pattern of patterns(at)) {
        const flipped = bytes.slice()
        flipped[at]! ^= pattern
        yield { name, what: `byte ${at} ^ ${pattern}`, bytes: flipped }
      }
    }
  }
}

/** Every object cut to every shorter length, or to every `step`th. */
export function* cutsOf({ objects }: World, step = 1): Generator<Blow> {
  for (const [name, bytes] of objects) {
    for (let length = 0; length < bytes.length; length += step) {
      yield { name, what: `cut to ${length} of ${bytes.length} bytes`, bytes: bytes.slice(0, length) }
    }
  }
}

export type Tally = Record<Outcome, number>

/** Opens the store after each blow, in the modes given for it, and reads it all; throws at the first wrong outcome. */
export async function survive(
  world: World,
  blows: Iterable<Blow>,
  modes: (i: number) => readonly ('exclusive' | 'follower')[],
): Promise<Tally> {
  const tally: Tally = { right: 0, earlier: 0, 'much earlier': 0, CORRUPT: 0, UNSUPPORTED_FORMAT: 0 }
  let i = 0
  for (const { name, what, bytes } of blows) {
    for (const mode of modes(i++)) {
      const storage = await world.storage(new Map(world.objects).set(name, bytes))
      try {
        tally[await limited(readDamaged(storage, world.small, mode))]++
      } catch (error) {
        throw new Error(`${name}, ${what}, ${mode}: ${String(error)}`, { cause: error })
      }
    }
  }
  return tally
}

/** No damage may make anybody wait for ever. */
async function limited<T>(run: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout>
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('No end within a minute.')), 60_000)
  })
  return Promise.race([run, hang]).finally(() => clearTimeout(timer))
}
