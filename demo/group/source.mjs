// @ts-check
/** The input of the group: the flights of the demo as a broker would keep them, in partitions, some of them coming at any time. */
import { setTimeout } from 'node:timers/promises'
import { readInputs } from '../flights/input.mjs'
import { keyOf } from '../flights/statistics.mjs'

/** @typedef {import('../flights/input.mjs').Flight} Flight */

export const PARTITIONS = 64
/** How often a partition is asked whether more has come, in milliseconds. */
const LOOK_MS = 50

/**
 * All flights, by partition: those with one key lie in one.
 *
 * @param {number} limit how many to take of each file
 */
export function readPartitions(limit) {
  const partitions = Array.from({ length: PARTITIONS }, () => /** @type {Flight[]} */ ([]))
  for (const { flights } of readInputs(limit)) {
    for (const flight of flights) partitions[partitionOf(JSON.stringify(keyOf(flight)))].push(flight)
  }
  return partitions
}

/** @param {string} key */
function partitionOf(key) {
  let hash = 0
  for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) >>> 0
  return hash % PARTITIONS
}

/**
 * The flights of each partition one after the other, evenly over the time from `start` on. The source has as many partitions as the
 * store, so each partition is read from a position of its own, by whoever owns it.
 *
 * @param {Flight[][]} partitions
 * @param {{ start: number, ms: number }} time
 * @returns {import('tidemark/stream').Source<Flight, import('tidemark').Key>}
 */
export function flightsOver(partitions, { start, ms }) {
  return {
    name: 'flights',
    partitions: PARTITIONS,
    async *read(partition, from, { signal }) {
      const flights = partitions[partition]
      for (let offset = Number(from ?? 0); offset < flights.length; offset++) {
        const due = start + (ms * offset) / flights.length
        while (Date.now() < due && !signal.aborted) await setTimeout(LOOK_MS)
        if (signal.aborted) return
        yield { offset, key: keyOf(flights[offset]), value: flights[offset] }
      }
    },
  }
}
