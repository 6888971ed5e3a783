/** A quota that is filled: a store of nothing but ballast takes all space that the browser grants, and gives it back. */
import { isTidemarkError, openStore } from 'tidemark'
import { destroyStore } from 'tidemark/tools'
import { compareWithMemory } from './compare.js'
import { bytes, n, plural } from './format.js'
import { withoutJob } from './job.js'
import { look, storage } from './opened.js'
import { say } from './said.js'
import { signal } from './signal.js'

const BALLAST = 'ballast'
const PIECE = 1 << 20
const place = { storage, name: BALLAST }
/** Folds are rare, so that most of the time goes into writing. */
const options = { ...place, checkpoint: { bytes: 32 * PIECE }, retain: { versions: 1 }, graceMs: 1, logger: false }

/**
 * How many bytes the browser says that it grants, and how many are written; `undefined` while nothing is. Chromium says the same
 * to everybody, so that nobody is known by the size of the disk: where it refuses shows only when it does.
 */
export const filling = signal({ quota: undefined, written: undefined })
const change = (changes) => filling.set({ ...filling.get(), ...changes })
let isEnough = false

export const stopFilling = () => (isEnough = true)

export const fill = () =>
  withoutJob(async () => {
    await measure()
    isEnough = false
    say('The quota is being filled. The worker rests meanwhile.')
    const sentence = await alone(writeUntilRefused)
    change({ written: undefined })
    return sentence ?? 'Another tab is filling the quota.'
  })

/** Asks for the quota, and frees what a tab has filled that was closed before it could give the space back. */
export async function measure() {
  const { quota } = await navigator.storage.estimate()
  change({ quota })
  await alone(giveBack)
}

/** Runs it unless another tab is at it. */
const alone = (run) => navigator.locks.request('tidemark-demo-fill', { ifAvailable: true }, (lock) => lock && run())

async function writeUntilRefused() {
  let pieces = 0
  let isFull = false
  try {
    const ballast = await openStore(options)
    try {
      while (!isEnough) {
        await ballast.set(pieces, randomBytes(PIECE))
        change({ written: ++pieces * PIECE })
      }
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'QUOTA') throw error
      isFull = true
    }
    await ballast.close()
    const reader = await openStore({ ...options, mode: 'follower', create: false })
    const found = await reader.count()
    await reader.close()
    if (found !== pieces) throw new Error(`${pieces} pieces were acknowledged, but ${found} are there.`)
  } finally {
    await giveBack()
  }
  await look()
  const { values } = await compareWithMemory()
  const end = isFull ? 'The browser refused more (QUOTA)' : 'You stopped it'
  return `${end} after ${bytes(pieces * PIECE)}. All ${plural(pieces, 'acknowledged write')} and all ${n(values)} values of the flights are there. The space is free again.`
}

const giveBack = () =>
  destroyStore(place).catch((error) => {
    if (error.code !== 'NOT_FOUND') throw error
  })

/** Bytes that nothing can compress. */
function randomBytes(length) {
  const random = new Uint8Array(length)
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(random.subarray(at, at + 65_536))
  return random
}
