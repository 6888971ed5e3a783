// @ts-check
/**
 * Counts flights in a group of processes, of which some are killed, frozen and thawed, join and leave, while shards are split and
 * merged; and compares every value with a run by one process.
 *
 *     npm run demo:group               state in a folder for temporary files
 *     npm run demo:group -- --s3       state in a bucket of the S3 server of the tests, on loopback
 *
 * For trying things out: --seconds N that the flights take to come, --flights N takes the first N of each file.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openStore } from 'tidemark'
import { memory } from 'tidemark/memory'
import { consume } from 'tidemark/stream'
import { compareCounts, n, readCounts } from '../flights/report.mjs'
import { count } from './count.mjs'
import { Fleet } from './fleet.mjs'
import { Moves } from './moves.mjs'
import { begunAgain, makeNotes } from './notes.mjs'
import { makePlace, storageAt } from './place.mjs'
import { actsTable, idleLine, requestsTable } from './report.mjs'
import { flightsOver, PARTITIONS, readPartitions } from './source.mjs'

/**
 * What happens, and for how many leases it is watched at least: it takes one and two thirds of them until others own what a dead
 * member had.
 *
 * @type {[act: string, leases: number, does: (fleet: Fleet) => unknown][]}
 */
const ACTS = [
  ['the shard is split into 16', 1, (fleet) => fleet.rescale('a', 16)],
  ['a fifth, e, joins', 1, (fleet) => fleet.join('e')],
  ['b is killed', 2, (fleet) => fleet.kill('b')],
  ['c is frozen', 2, (fleet) => fleet.freeze('c')],
  ['c is thawed', 1, (fleet) => fleet.thaw('c')],
  ['d leaves', 1, (fleet) => fleet.leave('d')],
  ['16 shards become 6', 1, (fleet) => fleet.rescale('a', 6)],
  ['f joins', 1, (fleet) => fleet.join('f')],
]
/** How long the first members have to start before flights come. */
const JOIN_MS = 2_500
const leaseMs = 2_000
/** How long after the last flight came the last one may be counted. */
const LATEST_MS = 60_000

const { seconds, limit, s3 } = readOptions()
const ms = seconds * 1000
const folder = mkdtempSync(join(tmpdir(), 'tidemark-demo-'))
const notes = join(folder, 'begun')
const home = await makePlace(s3)
const { place } = home
const moves = new Moves()
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => interrupted.abort())

const partitions = readPartitions(limit)
const total = partitions.reduce((sum, { length }) => sum + length, 0)
console.log(`Counting ${n(total)} flights of ${PARTITIONS} partitions in ${s3 ? place : `the folder ${place}`}.`)
console.log(`They come within ${n(seconds)} s. Each shard commits every 300 ms; a lease is ${leaseMs / 1000} s.\n`)
makeNotes(notes)
const start = Date.now() + JOIN_MS
const fleet = new Fleet({ place, notes, limit, start, ms, leaseMs }, (name, message) => moves.committed(name, message))
try {
  await Promise.all(['a', 'b', 'c', 'd'].map((name) => fleet.join(name)))
  // Whoever is no member can read all shards.
  const reader = await openStore({ storage: storageAt(place).storage, name: 'flights', mode: 'follower' })
  const rows = await play(reader)
  const counted = await readAll(reader)
  await reader.close()
  const idle = await idleUsage()
  await Promise.all(fleet.running.map((name) => fleet.leave(name)))
  console.log(`\n${actsTable(rows)}`)
  console.log(requestsTable(fleet.processes))
  console.log(idle)
  await compare(counted)
} catch (error) {
  if (!interrupted.signal.aborted) throw error
  process.exitCode = 130
} finally {
  fleet.close()
  await home.close()
  rmSync(folder, { recursive: true, force: true })
}

/**
 * One act after the other, evenly over the time in which flights come.
 *
 * @param {import('tidemark').Store} reader
 */
async function play(reader) {
  const rows = []
  const begun = Math.max(start, Date.now())
  // The last ones may take longer, and flights are to flow until then.
  const step = (start + ms - begun) / (ACTS.length + 2)
  await until(begun + step / 4)
  for (const [i, [act, leases, does]] of ACTS.entries()) {
    const now = Date.now()
    const again = begunAgain(notes)
    moves.take()
    console.log(`  after ${((now - begun) / 1000).toFixed(1).padStart(4)} s   ${act}`)
    await does(fleet)
    await until(Math.max(begun + (i + 1.25) * step, Date.now() + leases * leaseMs))
    await reader.refresh()
    rows.push({ act, shards: reader.shards.length, ...moves.take(), again: begunAgain(notes) - again })
  }
  return rows
}

/**
 * Reads again and again, until every flight is counted.
 *
 * @param {import('tidemark').Store} reader
 */
async function readAll(reader) {
  for (;;) {
    await reader.refresh()
    const counts = await readCounts(reader)
    const counted = flightsIn(counts)
    if (counted === total) return counts
    const isLate = Date.now() > start + ms + LATEST_MS
    if (counted > total || isLate) throw new Error(`${n(counted)} of ${n(total)} flights were counted.`)
    await until(Date.now() + 200)
  }
}

/** Each flight counts once in one of these. @param {import('../flights/report.mjs').Counts} counts */
function flightsIn(counts) {
  const values = ['airports', 'bands'].flatMap((name) => [...counts.get(name).values()])
  return values.reduce((sum, { count }) => sum + count, 0)
}

async function idleUsage() {
  const thirds = 6
  const before = await fleet.usage()
  await until(Date.now() + (thirds * leaseMs) / 3)
  return idleLine(before, await fleet.usage(), thirds)
}

/** @param {import('../flights/report.mjs').Counts} counted */
async function compare(counted) {
  const store = await openStore({ storage: memory(), name: 'flights', partitions: PARTITIONS })
  await consume(store, flightsOver(partitions, { start: 0, ms: 0 }), ({ value }, state) => count(value, state))
  const { values, different } = compareCounts(counted, await readCounts(store))
  await store.close()
  for (const where of different.slice(0, 10)) console.log(`  ${where}`)
  if (different.length > 0) {
    console.log(`DIFFERENT from a run by one process: ${n(different.length)} of ${n(values)} values.`)
    process.exitCode = 1
  } else console.log(`Compared with a run by one process: all ${n(values)} values are equal.`)
}

/** @param {number} time */
async function until(time) {
  await setTimeout(Math.max(0, time - Date.now()), undefined, { signal: interrupted.signal })
  if (fleet.failure) throw fleet.failure
}

/** Ends the program with one sentence when the command line is wrong. */
function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        s3: { type: 'boolean', default: false },
        seconds: { type: 'string', default: '38' },
        flights: { type: 'string', default: '30000' },
      },
    })
    const [seconds, limit] = [Number(values.seconds), Number(values.flights)]
    if (!(seconds >= 5 && seconds <= 3600)) throw new Error('--seconds takes a number from 5 to 3600')
    if (!(Number.isInteger(limit) && limit > 0)) throw new Error('--flights takes a whole number above 0')
    return { seconds, limit, s3: values.s3 }
  } catch (error) {
    const [sentence] = String(/** @type {Error} */ (error).message).split(/\. |\n/)
    console.error(`demo: ${sentence?.replace(/\.$/, '')}.`)
    process.exit(1)
  }
}
