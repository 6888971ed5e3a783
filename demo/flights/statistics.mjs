// @ts-check
/** The counts: delays per route, per airport of departure, and per hour and distance. */

/**
 * Delays in minutes; `histogram` counts them by the bounds below, the last place being for all above.
 *
 * @typedef {{ count: number, sum: number, min: number, max: number, histogram: number[] }} Delays
 */

const BOUNDS = [0, 15, 30, 60, 120, 240]
const DISTANCES = [250, 500, 1000, 2000]

export const TABLES = ['routes', 'airports', 'bands']

/**
 * Decides the partition: all that a flight is counted in lies in one.
 *
 * @param {import('./input.mjs').Flight} flight
 * @returns {import('tidemark').Key}
 */
export function keyOf(flight) {
  return 'origin' in flight ? flight.origin : bandOf(flight)
}

/**
 * The table and key of each value that a flight counts in.
 *
 * @param {import('./input.mjs').Flight} flight
 * @returns {[table: string, key: import('tidemark').Key][]}
 */
export function placesOf(flight) {
  if (!('origin' in flight)) return [['bands', bandOf(flight)]]
  return [
    ['routes', [flight.origin, flight.destination]],
    ['airports', flight.origin],
  ]
}

/**
 * @param {import('./input.mjs').TimedFlight} flight
 * @returns {[hour: number, band: number]}
 */
function bandOf({ time, distance }) {
  return [Math.floor(time), placeIn(DISTANCES, distance)]
}

/**
 * A new value: what is in the store is never changed in place.
 *
 * @param {Delays | undefined} before
 * @param {number} delay
 * @returns {Delays}
 */
export function addDelay(before, delay) {
  const { count, sum, min, max, histogram } = before ?? EMPTY
  const counts = [...histogram]
  counts[placeIn(BOUNDS, delay)] += 1
  return {
    count: count + 1,
    sum: sum + delay,
    min: Math.min(min, delay),
    max: Math.max(max, delay),
    histogram: counts,
  }
}

/** @type {Delays} */
const EMPTY = { count: 0, sum: 0, min: Infinity, max: -Infinity, histogram: Array(BOUNDS.length + 1).fill(0) }

/** @param {number[]} bounds @param {number} value */
function placeIn(bounds, value) {
  const place = bounds.findIndex((bound) => value < bound)
  return place < 0 ? bounds.length : place
}

/**
 * The same counts without a store, and without ever being killed: Maps by table, and by the key as JSON.
 *
 * @param {import('./input.mjs').Input[]} inputs
 */
export function countInMemory(inputs) {
  /** @type {Map<string, Map<string, Delays>>} */
  const tables = new Map(TABLES.map((name) => [name, new Map()]))
  for (const flight of inputs.flatMap(({ flights }) => flights)) {
    for (const [table, key] of placesOf(flight)) {
      const values = tables.get(table)
      values.set(JSON.stringify(key), addDelay(values.get(JSON.stringify(key)), flight.delay))
    }
  }
  return tables
}
