// @ts-check
/** The end of the demo: the comparison, some of the counts, and the bytes that were written for them. */
import { isDeepStrictEqual } from 'node:util'
import Table from 'cli-table3'
import { TABLES } from './statistics.mjs'

/** @typedef {Map<string, Map<string, import('./statistics.mjs').Delays>>} Counts */

/**
 * Everything in the store, by table and key as JSON.
 *
 * @param {import('tidemark').Store} store
 */
export async function readCounts(store) {
  /** @type {Counts} */
  const counts = new Map()
  for (const name of TABLES) {
    /** @type {Map<string, import('./statistics.mjs').Delays>} */
    const values = new Map()
    for await (const [key, value] of store.table(name).entries()) {
      values.set(JSON.stringify(key), /** @type {import('./statistics.mjs').Delays} */ (value))
    }
    counts.set(name, values)
  }
  return counts
}

/**
 * The places where the two differ, and how many there are in all.
 *
 * @param {Counts} counted
 * @param {Counts} expected
 */
export function compareCounts(counted, expected) {
  /** @type {string[]} */
  const different = []
  let values = 0
  for (const name of TABLES) {
    const of = counted.get(name)
    const should = expected.get(name)
    const keys = new Set([...of.keys(), ...should.keys()])
    values += keys.size
    for (const key of keys) if (!isDeepStrictEqual(of.get(key), should.get(key))) different.push(`${name} ${key}`)
  }
  return { values, different }
}

/**
 * @param {Counts} counts
 * @param {number} rows
 */
export function delaysTable(counts, rows) {
  const table = new Table({
    head: ['departures from', 'flights', 'mean delay', 'from … to', '15 minutes late or more'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  })
  const busiest = [...counts.get('airports')].sort(([, a], [, b]) => b.count - a.count).slice(0, rows)
  for (const [key, { count, sum, min, max, histogram }] of busiest) {
    const late = histogram.slice(2).reduce((a, b) => a + b, 0)
    table.push([JSON.parse(key), n(count), `${(sum / count).toFixed(1)} min`, `${min} … ${max}`, percent(late / count)])
  }
  return table.toString()
}

/** @param {import('./supervisor.mjs').Metrics[]} runs the newest metrics of each run of the worker */
export function writtenTable(runs) {
  /** @param {(metrics: import('./supervisor.mjs').Metrics) => number} of */
  const sum = (of) => runs.reduce((total, metrics) => total + of(metrics), 0)
  const { segments, latencyMs } = runs.at(-1)
  const table = new Table({ colAligns: ['left', 'right'], style: { head: [], border: [], compact: true } })
  table.push(
    ['commits', n(sum((m) => m.commits))],
    ['written to the log', bytes(sum((m) => m.bytes))],
    ['folds of the log into segments', n(sum((m) => m.folds))],
    ['compactions of segments', n(sum((m) => m.compactions))],
    ['segments written', n(sum((m) => m.segments.written))],
    ['segments reused by a later fold', n(sum((m) => m.segments.reused))],
    ['segments at the end', n(segments.live)],
    ['time of a commit, half of them below', `${latencyMs.commit.p50.toFixed(1)} ms`],
  )
  return table.toString()
}

/** @param {number} count */
export function n(count) {
  return count.toLocaleString('en-US')
}

/** @param {number} part */
function percent(part) {
  return `${(100 * part).toFixed(0)} %`
}

/** @param {number} count */
function bytes(count) {
  return count < 1e6 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(1)} MB`
}
