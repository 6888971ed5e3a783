/**
 * The stream job: counts flights into the store until all are counted, it is asked to stop, or it is killed. When it starts it
 * knows only what the store holds.
 */
import { metered, openStore } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import { consume, fromIterable } from 'tidemark/stream'
import { addDelay, keyOf, placesOf } from '../flights/statistics.mjs'
import { DATABASE, SOURCE, countedIn, loadFlights, optionsFor } from './place.js'

const EVERY_EVENTS = 100

const stop = new AbortController()
/** Shared with the page: 1 while the thread is to stand still, as one of a frozen tab does. */
let frozen
/** How many calls are on their way to the database. */
let calls = 0
/** Calls wait for it before they begin. */
let gate

addEventListener('message', ({ data }) => {
  if (data.type === 'start') run(data)
  else if (data.type === 'stop') stop.abort()
  else freeze()
})

/**
 * Stands still where no call is on its way: the thread of a half-done transaction would keep all tabs from the database, and
 * a browser does not freeze such a tab. A read is answered a moment before its transaction ends.
 */
async function freeze() {
  let open
  gate = new Promise((resolve) => (open = resolve))
  const moment = () => new Promise((resolve) => setTimeout(resolve, 50))
  while (calls > 0) await moment()
  await moment()
  postMessage({ event: 'frozen' })
  Atomics.wait(frozen, 0, 1)
  open()
}

/** Counts its calls, and tells the page when a commit is on its way to the database. */
function told(storage) {
  const counted = (part) =>
    Object.fromEntries(
      Object.entries(part).map(([name, call]) => [
        name,
        async (...args) => {
          await gate
          calls++
          if (name === 'append' || name === 'claim') postMessage({ event: 'writing', version: args[0] })
          return call(...args).finally(() => calls--)
        },
      ]),
    )
  return {
    ...storage,
    blobs: counted(storage.blobs),
    log: (...args) => counted(storage.log(...args)),
    anchor: (path) => counted(storage.anchor(path)),
    logs: counted({ logs: storage.logs }).logs,
  }
}

async function run({ shared, restMs }) {
  frozen = shared
  let begun = 0
  const storage = metered(indexedDb(DATABASE))
  try {
    const [flights, store] = await Promise.all([loadFlights(), openStore(optionsFor(told(storage)))])
    begun = countedIn(store.offsets)
    const tell = (event) =>
      postMessage({
        event,
        version: store.version,
        counted: countedIn(store.offsets),
        metrics: store.metrics(),
        usage: storage.usage(),
      })
    tell('opened')
    await consume(
      store,
      fromIterable(SOURCE, flights, { key: keyOf }),
      async ({ offset, value: flight }, state) => {
        begun = Number(offset) + 1
        for (const [table, key] of placesOf(flight)) {
          const delays = state.table(table)
          delays.put(key, addDelay(await delays.get(key), flight.delay))
        }
      },
      {
        everyEvents: EVERY_EVENTS,
        everyMs: Infinity,
        signal: stop.signal,
        async onProgress() {
          tell('committed')
          if (!stop.signal.aborted) await new Promise((resolve) => setTimeout(resolve, restMs))
        },
      },
    )
    await store.close()
    tell(stop.signal.aborted ? 'stopped' : 'finished')
  } catch (error) {
    postMessage({ event: 'failed', code: error.code, message: error.message, begun })
  }
}
