// @ts-check
/**
 * The worker: counts flights into a store until it has counted all, or is killed. When it starts it knows only what the store
 * holds. It tells its supervisor of its commits. With each flight it notes how many it has begun in a file of the supervisor,
 * which can be read after a SIGKILL.
 */
import { writeSync } from 'node:fs'
import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { consume, fromIterable } from 'tidemark/stream'
import { countedFlights, readInputs } from './input.mjs'
import { addDelay, keyOf, placesOf } from './statistics.mjs'

/** The supervisor's file. */
const NOTES = 4

const [directory, limit, everyEvents] = process.argv.slice(2)
const inputs = readInputs(Number(limit))
// Without a supervisor there is nobody to count for.
process.on('disconnect', () => process.exit(1))
// Ctrl-C reaches the supervisor too, which ends this process.
process.on('SIGINT', () => {})

const store = await openStore({ storage: nodeFs(directory), name: 'flights', partitions: 4, job: 'flights-demo' })
tell('opened')

let before = 0
for (const { name, flights } of inputs) {
  const first = before
  await consume(
    store,
    fromIterable(name, flights, { key: keyOf }),
    async ({ offset, value: flight }, state) => {
      note(first + Number(offset) + 1)
      for (const [table, key] of placesOf(flight)) {
        const delays = /** @type {import('tidemark').Table<typeof key, import('./statistics.mjs').Delays>} */ (
          state.table(table)
        )
        delays.put(key, addDelay(await delays.get(key), flight.delay))
      }
    },
    { everyEvents: Number(everyEvents), onProgress: () => tell('committed') },
  )
  before += flights.length
}
await store.close()
tell('finished')
process.disconnect()

/** @param {'opened' | 'committed' | 'finished'} event */
function tell(event) {
  const { version, offsets } = store
  process.send({ event, version, counted: countedFlights(inputs, offsets), metrics: store.metrics() })
}

/** @param {number} begun */
function note(begun) {
  writeSync(NOTES, String(begun).padEnd(16), 0)
}
