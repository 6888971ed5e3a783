// @ts-check
/** The input: flights within the United States in 2001, from the package vega-datasets. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * @typedef {{ delay: number, distance: number, date: string, origin: string, destination: string }} RoutedFlight
 * @typedef {{ delay: number, distance: number, time: number }} TimedFlight
 * @typedef {RoutedFlight | TimedFlight} Flight
 * @typedef {{ name: string, flights: Flight[] }} Input
 */

const FILES = ['flights-20k', 'flights-200k']

/**
 * Both files in the order in which they are counted.
 *
 * @param {number} limit how many flights to take of each
 * @returns {Input[]}
 */
export function readInputs(limit) {
  return FILES.map((name) => {
    const file = new URL(`../data/${name}.json`, import.meta.resolve('vega-datasets'))
    return { name, flights: JSON.parse(readFileSync(fileURLToPath(file), 'utf8')).slice(0, limit) }
  })
}

/**
 * How many flights are counted in all, by what a store has committed.
 *
 * @param {Input[]} inputs
 * @param {import('tidemark').Offsets} offsets
 */
export function countedFlights(inputs, offsets) {
  let counted = 0
  for (const { name } of inputs) {
    const of = offsets[name]
    counted += typeof of === 'object' ? Number(of[0] ?? 0) : Number(of ?? 0)
  }
  return counted
}
