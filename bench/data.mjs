/** The same keys, values and orders for every peer; a seed gives the same ones again. */

/** A row of the table of objects: about 115 bytes as JSON. */
export function objectOf(i, version = 0) {
  return {
    id: i,
    name: `customer ${i}`,
    city: CITIES[i % CITIES.length],
    balance: ((i * 7919 + version * 104_729) % 1_000_000) / 100,
    visits: version,
    active: i % 3 !== 0,
    tags: i % 2 === 0 ? ['new', 'web'] : ['old'],
  }
}

const CITIES = ['Lisbon', 'Porto', 'Nairobi', 'Osaka', 'Quito', 'Turin', 'Hanoi', 'Bergen']

/** The second table: the same rows as the program's own text, which the peer has nothing to do with. */
export const stringOf = (i, version = 0) => JSON.stringify(objectOf(i, version))

export const valueOf = { objects: objectOf, strings: stringOf }

/** 16 characters; the numbers are spread, so that their order is not that in which they are made. */
export const keyOf = (i) => `k${String((i * 7_368_787) % 1_000_000_007).padStart(15, '0')}`

/** Mulberry32: numbers from 0 to 1. */
export function random(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function median(numbers) {
  return quantile(numbers, 0.5)
}

export function quantile(numbers, q) {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]
}
