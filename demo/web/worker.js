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
let calls = 0

addEventListener('message', ({ data }) => {
  if (data.type === 'start') run(data)
  else if (data.type === 'stop') stop.abort()
  else freezeIfAsked()
})

/** Stands still only where no call is on its way, because a half-done transaction would keep all tabs from the database. */
function freezeIfAsked() {
  if (calls > 0 || Atomics.load(frozen, 0) === 0) return
  postMessage({ event: 'frozen' })
  Atomics.wait(frozen, 0, 1)
}

/** Tells the page when a commit is on its way to the database. */
function told(storage) {
  const during =
    (tell, call) =>
    async (...args) => {
      calls++
      if (tell) postMessage({ event: 'writing', version: args[0] })
      try {
        return await call(...args)
      } finally {
        calls--
        setTimeout(freezeIfAsked)
      }
    }
  return {
    ...storage,
    blobs: { ...storage.blobs, put: during(false, storage.blobs.put) },
    log(...args) {
      const log = storage.log(...args)
      return { ...log, append: during(true, log.append), claim: during(true, log.claim) }
    },
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
