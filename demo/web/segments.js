/** The segments that the storage holds, and which of them the newest version needs. */
import { openStore } from 'tidemark'
import { NAME, optionsFor } from './place.js'

/** Those that were seen before keep their places in the drawing. */
const seen = new Map()
let inUse = new Set()
let known = ''

/**
 * A reader that keeps everything in memory reads each segment that the newest version needs, and no other. So the names that it
 * asks the storage for are the segments in use. It is opened only when there is another fold, or there
 * are other segments, than before.
 */
export async function segmentsOf(storage, newestFold) {
  const { items } = await storage.blobs.list(`${NAME}/`)
  // Writers that have closed the store leave empty blobs.
  const blobs = items.filter(({ size }) => size > 0)
  const names = blobs.map(({ name }) => name).join()
  const now = `${newestFold} ${names}`
  if (now !== known) {
    inUse = await namesInUse(storage)
    known = now
  }
  for (const name of seen.keys()) if (!names.includes(name)) seen.delete(name)
  for (const { name, size } of blobs) if (!seen.has(name)) seen.set(name, { name, size })
  return [...seen.values()].map((segment) => ({ ...segment, isInUse: inUse.has(segment.name) }))
}

async function namesInUse(storage) {
  const names = new Set()
  const { blobs } = storage
  const noting = {
    ...storage,
    blobs: {
      ...blobs,
      get(name, options) {
        names.add(name)
        return blobs.get(name, options)
      },
      getNow: undefined,
    },
  }
  const reader = await openStore({ ...optionsFor(noting), mode: 'follower', resident: true, create: false })
  await reader.close()
  return names
}
