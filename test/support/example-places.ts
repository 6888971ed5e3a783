/** Golden sets of what adapters and archives have of their own: the files of a folder, the rows of a database, a ZIP archive. */
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { openStore, type Storage } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import { memory } from 'tidemark/memory'
import { faulty, type Faulty } from 'tidemark/testing'
import { exportZip } from 'tidemark/transfer'
import { nodeFileSystem, type FileSystem } from '../../adapters/node-fs/file-system.js'
import { LOG_TUNING } from '../../adapters/node-fs/log/tuning.js'
import { fileStorage } from '../../adapters/node-fs/storage.js'
import { concat } from '../../src/bytes/concat.js'
import { sleep, systemClock } from '../../src/clock.js'
import { atOnce } from '../../src/testing/at-once.js'
import { collect } from './collect.js'
import { movedClock, steadyClock } from './example.js'
import { withIndexedDb } from './fake-indexeddb.js'
import type { Objects, Rows } from './packed.js'
import { readRows } from './rows.js'

/** What a folder holds. */
function filesIn(folder: string): Objects {
  const names = readdirSync(folder, { recursive: true }) as string[]
  const files = names.filter((name) => statSync(join(folder, name)).isFile()).sort()
  return new Map(files.map((name) => [name.replaceAll('\\', '/'), new Uint8Array(readFileSync(join(folder, name)))]))
}

/** Makes the folder hold these. */
export function putFiles(folder: string, files: Objects): void {
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), bytes)
  }
}

/** Small, so that little data fills several files. */
const TUNING = { ...LOG_TUNING, patienceMs: 0, preallocateBytes: 4096, rotateBytes: 1500 }

/** These sets are older than the marks of writers that have closed a store, and those would take names from the clock. */
function unmarked(storage: Storage): Storage {
  const put: Storage['blobs']['put'] = async (name, ...rest) =>
    name.includes('/closed/') ? {} : storage.blobs.put(name, ...rest)
  return { ...storage, capabilities: { ...storage.capabilities, mode: undefined }, blobs: { ...storage.blobs, put } }
}

/**
 * A folder of files: log files that follow one another, a trim, records that a later owner took over, records in relaxed
 * durability, an owner that died after its marker and before its file had a name, a store that was destroyed, and what crashes
 * leave.
 */
export async function writeFiles(folder: string): Promise<Objects> {
  const fs = nodeFileSystem()
  const ids = steadyClock()
  const storage = (over: FileSystem = fs): Storage => unmarked(atOnce(fileStorage(over, folder, ids, TUNING)))
  const time = { now: 1_700_000_000_000 }
  const settings = {
    name: 'files',
    clock: movedClock(time),
    deflateLevel: 0,
    graceMs: 1,
    retain: { versions: 9 },
  } as const
  const watched = faulty(storage(), () => undefined)
  const first = await openStore({ ...settings, storage: watched, partitions: 2 })
  for (let i = 0; i < 20; i++) {
    first.put(i, `value ${i} `.repeat(8))
    await first.commit()
    // The anchor follows the fold, and the next file of the log begins behind that.
    if (i % 4 === 3) await first.checkpoint()
    await quiet(watched)
  }
  for (let i = 0; i < 2; i++) {
    await first.maintain({ minDeletes: 1 })
    await quiet(watched)
    time.now += 1_000
  }
  await first.tag('kept')
  await first.close()
  await quiet(watched)
  const relaxed = await openStore({ ...settings, storage: watched, durability: 'relaxed' })
  for (const i of [1, 2, 3]) {
    relaxed.put(`relaxed ${i}`, i)
    await relaxed.commit()
  }
  await relaxed.close()
  await quiet(watched)
  const gone = storage().anchor('gone/0/anchor')
  await gone.swap(undefined, Uint8Array.of(1), 0)
  await gone.remove()
  await leaveBehind(fs, storage)
  await openStore({ ...settings, storage: storage({ ...fs, rename: fail, unlink: nothing }) }).catch(() => undefined)
  return filesIn(folder)
}

/** Resolves when nothing is under way any more beside what was waited for, such as the anchor that follows a fold. */
async function quiet(storage: Faulty): Promise<void> {
  for (let turns = 0; turns < 5; turns++) {
    await storage.idle()
    await sleep(systemClock, 1)
  }
}

const fail = (): Promise<never> => Promise.reject(Object.assign(new Error('as told'), { code: 'EIO' }))
const nothing = (): Promise<void> => Promise.resolve()

/** Files that got no name: of a blob, and of a probe. */
async function leaveBehind(fs: FileSystem, storage: (over: FileSystem) => Storage): Promise<void> {
  const broken = storage({ ...fs, link: fail, unlink: nothing })
  await broken.blobs.put('files/0/left', Uint8Array.of(1, 2, 3)).catch(() => undefined)
  await broken.probe!('probed/0').catch(() => undefined)
}

/** An archive with all that one may hold. */
export async function writeArchive(): Promise<Objects> {
  const storage = atOnce(memory())
  const clock = steadyClock()
  const store = await openStore({ storage, name: 'archived', partitions: 2, job: 'export', clock, segmentBytes: 900 })
  for (let i = 0; i < 60; i++) store.put(`key ${i}`, `value ${i}`)
  await store.commit()
  await store.checkpoint()
  store.put('tail', new Map([[1n, new Date(0)]]))
  store.delete('key 7')
  await store.commit({ label: 'é', meta: { a: [1] }, offsets: { one: 2n ** 70n, parts: { 0: 'x', 1: 1.5 } } })
  await store.close()
  const chunks = await collect(exportZip({ storage, name: 'archived' }, { clock }))
  return new Map([['archived.zip', concat(chunks)]])
}

/** The rows of a database, one object of which lies in parts. */
export async function writeRows(): Promise<Rows> {
  return withIndexedDb(async (factory) => {
    const storage = faulty(unmarked(atOnce(indexedDb('golden', { clock: steadyClock() }))), () => undefined)
    const time = { now: 1_700_000_000_000 }
    const settings = {
      storage,
      name: 'rows',
      clock: movedClock(time),
      deflateLevel: 0,
      blockBytes: 16 << 10,
      graceMs: 1,
    } as const
    const store = await openStore({ ...settings, retain: { versions: 1 }, durability: 'relaxed' })
    store.put('large', 'a'.repeat(62_000))
    store.put('small', 1)
    await store.commit()
    await store.checkpoint()
    for (let i = 0; i < 3; i++) {
      store.put('small', i)
      if (i === 1) store.put('middle', 'b'.repeat(20_000))
      await store.commit()
      await store.checkpoint()
      await store.maintain({ minDeletes: 1 })
      await quiet(storage)
      time.now += 1_000
    }
    store.put('tail', true)
    await store.commit()
    await store.close()
    await quiet(storage)
    return readRows(factory, 'golden')
  })
}
