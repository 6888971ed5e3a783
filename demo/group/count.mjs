// @ts-check
/** What is done with a flight: the same for a member of the group and for the one process that it is compared with. */
import { addDelay, placesOf } from '../flights/statistics.mjs'

/** @typedef {import('../flights/statistics.mjs').Delays} Delays */

/**
 * @param {import('./source.mjs').Flight} flight
 * @param {import('tidemark').Partition} state
 */
export async function count(flight, state) {
  for (const [name, key] of placesOf(flight)) {
    const table = /** @type {import('tidemark').Table<typeof key, Delays>} */ (state.table(name))
    table.put(key, addDelay(await table.get(key), flight.delay))
  }
}
