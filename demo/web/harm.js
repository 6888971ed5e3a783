/** Harm that comes to a storage: a damaged segment, and no space left. */
import { isTidemarkError, openStore } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import { destroyStore } from 'tidemark/tools'
import { TABLES } from '../flights/statistics.mjs'
import { compareWithMemory } from './compare.js'
import { bytes, n, plural } from './format.js'
import { look, storage, view } from './opened.js'
import { DATABASE, optionsFor } from './place.js'

const BALLAST = 'ballast'
const PIECE = 1 << 20
/** No visitor's disk is filled beyond this. */
const MOST_PIECES = 64

export async function damage() {
  const segment = view.get().segments.findLast(({ isInUse }) => isInUse)
  if (segment === undefined) return 'There is no segment yet. They come with the first fold, after some 20 commits.'
  await flip(segment.name)
  const repaired = await readAll()
  await look()
  const { values } = await compareWithMemory()
  return repaired
    ? `A byte of a segment was flipped. The next reader noticed, rebuilt the segment from the log, and all ${n(values)} values are right.`
    : `A byte of a segment was flipped where no reader looks; all ${n(values)} values are right.`
}

/** Flips a byte in the middle of an object, behind the back of the store: docs/format.md tells where it lies. */
async function flip(name) {
  const database = await requested(indexedDB.open(DATABASE))
  try {
    const change = database.transaction(['objects', 'parts'], 'readwrite')
    const objects = change.objectStore('objects')
    const head = await requested(objects.get(name))
    if (head.within) {
      flipIn(head.within)
      await requested(objects.put(head))
    } else {
      const parts = change.objectStore('parts')
      const part = await requested(parts.get([name, 0]))
      flipIn(part)
      await requested(parts.put(part, [name, 0]))
    }
  } finally {
    database.close()
  }
}

const flipIn = (of) => void (of[of.length >> 1] ^= 1)

const requested = (request) =>
  new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result))
    request.addEventListener('error', () => reject(request.error))
  })

/** A reader with nothing in memory, as after a reload. It may write, so that it can mend what it finds. */
async function readAll() {
  let repaired = false
  const store = await openStore(optionsFor(indexedDb(DATABASE)))
  store.on('repaired', () => (repaired = true))
  for (const table of TABLES) await store.table(table).toArray()
  // The fold lists the rebuilt segment in place of the damaged one, and the commit makes a version of that, which can be pushed.
  await store.checkpoint()
  await store.commit({ label: 'repaired' })
  await store.close()
  return repaired
}

export async function fill() {
  const place = { storage, name: BALLAST }
  let written = 0
  let full = false
  try {
    let ballast = await openStore({ ...optionsFor(storage), ...place, job: BALLAST, partitions: 1 })
    try {
      while (!full && written < MOST_PIECES) {
        await ballast.set(written, randomBytes(PIECE))
        written++
      }
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'QUOTA') throw error
      full = true
    }
    await ballast.close()
    ballast = await openStore({ storage, name: BALLAST, mode: 'follower', create: false, logger: false })
    const found = await ballast.count()
    await ballast.close()
    if (found !== written) throw new Error(`${written} pieces were acknowledged, but ${found} are there.`)
  } finally {
    await destroyStore(place)
  }
  await look()
  const { values } = await compareWithMemory()
  const safe = `All ${plural(written, 'acknowledged write')} and all ${n(values)} values of the flights are there. The space is free again.`
  if (full) return `The browser refused more (QUOTA) after ${bytes(written * PIECE)}. ${safe}`
  return `The browser took all ${bytes(written * PIECE)}, and this page wants no more of your disk. ${safe}`
}

/** Bytes that nothing can compress. */
function randomBytes(length) {
  const random = new Uint8Array(length)
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(random.subarray(at, at + 65_536))
  return random
}
