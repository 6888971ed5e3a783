// @ts-check
/**
 * Which flights were begun, in a file of the supervisor: it is there after a SIGKILL. For each partition it has the highest
 * position that was begun, and how many were begun in all. The difference was begun again.
 */
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { PARTITIONS } from './source.mjs'

const SLOT = 2 * Float64Array.BYTES_PER_ELEMENT

/** @param {string} file */
export function makeNotes(file) {
  writeFileSync(file, Buffer.alloc(PARTITIONS * SLOT))
}

/** How many flights were begun more than once. @param {string} file */
export function begunAgain(file) {
  const numbers = new Float64Array(new Uint8Array(readFileSync(file)).buffer)
  let again = 0
  for (let i = 0; i < numbers.length; i += 2) again += numbers[i + 1] - numbers[i]
  return again
}

/**
 * What a member notes with.
 *
 * @param {string} file
 */
export function openNotes(file) {
  const fd = openSync(file, 'r+')
  const numbers = new Float64Array(2)
  return {
    /** @param {number} partition @param {number} offset */
    begin(partition, offset) {
      readSync(fd, numbers, 0, SLOT, partition * SLOT)
      numbers[0] = Math.max(numbers[0], offset + 1)
      numbers[1] += 1
      writeSync(fd, numbers, 0, SLOT, partition * SLOT)
    },
    close: () => closeSync(fd),
  }
}
