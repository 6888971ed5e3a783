// @ts-check
/** The tables at the end of the demo of groups. */
import Table from 'cli-table3'
import { n } from '../flights/report.mjs'
import { PRICES } from './place.mjs'

/**
 * @typedef {import('./fleet.mjs').Usage} Usage
 * @typedef {{ act: string, shards: number, moved: number, median: number | undefined, longest: number | undefined, again: number }} Row
 */

const STYLE = { style: { head: [], border: [], compact: true } }
/** The lease that `joinGroup` takes by itself, in seconds. */
const LEASE = 15
const MONTH = 30 * 86_400

/** @param {Row[]} rows */
export function actsTable(rows) {
  const table = new Table({
    head: ['what happened', 'shards', 'moved', 'pause, median', 'longest', 'flights begun again'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
    ...STYLE,
  })
  for (const { act, shards, moved, median, longest, again } of rows)
    table.push([act, n(shards), n(moved), milliseconds(median), milliseconds(longest), n(again)])
  return table.toString()
}

/** @param {Map<string, import('./fleet.mjs').Process>} processes */
export function requestsTable(processes) {
  const table = new Table({
    head: ['member', 'swaps and writes', 'reads', 'lists', 'price of the run', ''],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'left'],
    ...STYLE,
  })
  for (const [name, { usage, fate }] of processes) {
    if (usage === undefined) continue
    const { put, get, list } = usage.requests
    table.push([name, n(put), n(get), n(list), `$${usage.cost.toFixed(4)}`, fate])
  }
  return table.toString()
}

/**
 * What members that have nothing to do ask for, in each third of a lease, and what that is in a month.
 *
 * @param {Map<string, Usage>} before
 * @param {Map<string, Usage>} after
 * @param {number} thirds how many thirds of a lease have passed between
 */
export function idleLine(before, after, thirds) {
  const sum = { put: 0, get: 0, list: 0 }
  for (const [name, { requests }] of after) {
    for (const kind of /** @type {const} */ (['put', 'get', 'list']))
      sum[kind] += (requests[kind] - before.get(name).requests[kind]) / thirds / after.size
  }
  const price = sum.put * PRICES.put + sum.get * PRICES.get + sum.list * PRICES.list
  const month = (price * MONTH) / (LEASE / 3)
  return (
    `A member with nothing to do made ${sum.put.toFixed(1)} swaps and ${sum.get.toFixed(1)} reads in a third of a lease, ` +
    `what it follows as a standby included:\nat S3's prices and a lease of ${LEASE} s that is $${month.toFixed(2)} a month.`
  )
}

/** @param {number | undefined} ms */
function milliseconds(ms) {
  return ms === undefined ? '–' : `${n(Math.round(ms))} ms`
}
