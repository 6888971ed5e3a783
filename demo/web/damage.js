/** Damage to a segment, and the repair of it. */
import { openStore } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import { TABLES } from '../flights/statistics.mjs'
import { compareWithMemory } from './compare.js'
import { n, plural } from './format.js'
import { look, view } from './opened.js'
import { DATABASE, moment, optionsFor } from './place.js'
import { signal } from './signal.js'

/** The names of the segments that this page has damaged. */
export const damaged = signal(new Set())

export async function damage() {
  const segment = view.get().segments.findLast(({ isInUse }) => isInUse)
  if (segment === undefined) return 'There is no segment yet. They come with the first fold, after some 10 commits.'
  await flip(segment.name)
  damaged.set(new Set([...damaged.get(), segment.name]))
  await moment()
  const repaired = await readAll()
  await look()
  const { values } = await compareWithMemory()
  return repaired > 0
    ? `A byte of a segment was flipped. The next reader noticed, rebuilt ${plural(repaired, 'segment')} from the log, and all ${n(values)} values are right.`
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
  const store = await openStore(optionsFor(indexedDb(DATABASE)))
  for (const table of TABLES) await store.table(table).toArray()
  // The fold lists the rebuilt segment in place of the damaged one, and the commit makes a version of that, which can be pushed.
  await store.checkpoint()
  await store.commit({ label: 'repaired' })
  const { repaired } = store.metrics()
  await store.close()
  return repaired
}
