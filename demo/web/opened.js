/** The page's own handle on the store, and all that the page shows of it. */
import { isTidemarkError, metered, openStore } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import { destroyStore } from 'tidemark/tools'
import { TABLES } from '../flights/statistics.mjs'
import { DATABASE, NAME, PARTITIONS, countedIn, optionsFor } from './place.js'
import { say } from './said.js'
import { segmentsOf } from './segments.js'
import { signal } from './signal.js'

/** How many versions are drawn. */
const SHOWN = 60
const BETWEEN_LOOKS_MS = 100

/** What is known of the store; `undefined` before it is open. */
export const view = signal(undefined)
/** Entries of the list that all tabs edit. */
export const notes = signal([])
/** The size of all keys and values as JSON, by version, as far as the page has seen it. */
const sizes = new Map()

export const storage = metered(indexedDb(DATABASE))
export const place = { storage, name: NAME }
let store
let live
let covers = 0
let again = false
let looking

export const opened = () => store

export async function open() {
  await connect()
  await look()
}

async function connect() {
  store = await openStore(optionsFor(storage))
  // For the console: `await store.count()`.
  globalThis.store = store
  covers = 0
  store.on('version', () => look())
  store.on('checkpoint', (checkpoint) => {
    covers = checkpoint.covers
    void look()
  })
  live = store.live({ table: 'notes' })
  live.subscribe(() => notes.set(live.current))
  notes.set(live.current)
}

async function close() {
  await looking
  await store.close()
}

/** Runs `run` while this page has the store closed. */
export async function whileClosed(run) {
  await close()
  try {
    return await run()
  } finally {
    await open()
  }
}

export const startOver = () =>
  whileClosed(async () => {
    sizes.clear()
    await destroyStore(place)
  })

/** Looks at the store, and once more when something has happened meanwhile. */
export function look() {
  again = true
  looking ??= (async () => {
    while (again) {
      again = false
      try {
        view.set(await read())
      } catch (error) {
        // Whatever fails here is met again at the next look, a second later.
        await goOn(error).catch(({ message }) => say(message))
      }
      // The eye takes no more, and the worker needs the machine.
      if (again) await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS))
    }
  })().finally(() => (looking = undefined))
  return looking
}

async function goOn(error) {
  if (!isTidemarkError(error)) throw error
  if (error.code === 'ROLLED_BACK') await beginAnew()
  // Another tab has pulled the store from the bucket.
  else if (error.code === 'FENCED') await store.reopen()
  // The store was closed, or an old version was collected, while it was looked at: the next look sees what is there.
  else if (error.code !== 'CLOSED' && error.code !== 'VERSION_EXPIRED') throw error
}

/** Other tabs tell of their versions; a storage that somebody has cleared tells nothing, so the page asks. */
export async function watchOver() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 1000))
    await store.refresh().catch(look)
  }
}

/** Begins anew after the storage was cleared. */
async function beginAnew() {
  const lost = store
  sizes.clear()
  await connect()
  await lost.close().catch(() => {})
  again = true
  say('The storage of this page was cleared, and with it all that was counted. The page begins anew.')
}

async function read() {
  const snapshot = await store.snapshot()
  try {
    const partitions = []
    for (let i = 0; i < PARTITIONS; i++) {
      const airports = await snapshot.partition(i).table('airports').toArray()
      partitions.push({ airports, flights: airports.reduce((sum, [, { count }]) => sum + count, 0) })
    }
    const { version } = snapshot
    const versions = []
    for await (const each of store.versions({ reverse: true, lte: version })) versions.unshift(each)
    const metrics = store.metrics()
    const segments = await segmentsOf(storage, versions.findLast(({ folded }) => folded)?.version)
    const from = covers > 0 ? covers : version - metrics.tail
    const tail = versions.filter((each) => each.version > from)
    let size = 0
    for (const table of [...TABLES, 'notes']) {
      for await (const entry of snapshot.table(table).entries()) size += JSON.stringify(entry).length
    }
    sizes.set(version, size)
    return {
      version,
      offset: countedIn(snapshot.offsets),
      counted: partitions.reduce((sum, { flights }) => sum + flights, 0),
      partitions,
      versions,
      newest: versions.slice(-SHOWN),
      tail,
      segments,
      size,
      sizes: new Map(sizes),
      tags: await store.tags(),
      metrics,
    }
  } finally {
    await snapshot.close()
  }
}
