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

/** @type {[act: string, does: (fleet: Fleet) => unknown][]} */
const ACTS = [
  ['four members join', (fleet) => Promise.all(['a', 'b', 'c', 'd'].map((name) => fleet.join(name)))],
  ['the shard is split into 16', (fleet) => fleet.rescale('a', 16)],
  ['a fifth, e, joins', (fleet) => fleet.join('e')],
  ['b is killed', (fleet) => fleet.kill('b')],
  ['c is frozen', (fleet) => fleet.freeze('c')],
  ['c is thawed', (fleet) => fleet.thaw('c')],
  ['d leaves', (fleet) => fleet.leave('d')],
  ['16 shards become 6', (fleet) => fleet.rescale('a', 6)],
  ['f joins', (fleet) => fleet.join('f')],
]
/** How long after the last flight came the last one may be counted. */
const LATEST_MS = 60_000

const { seconds, limit, s3 } = readOptions()
const ms = seconds * 1000
const leaseMs = Math.max(1_000, Math.min(2_000, ms / 20))
const folder = mkdtempSync(join(tmpdir(), 'tidemark-demo-'))
const notes = join(folder, 'begun')
const { place, close } = await makePlace(s3)
const moves = new Moves()
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => interrupted.abort())

const partitions = readPartitions(limit)
const total = partitions.reduce((sum, { length }) => sum + length, 0)
console.log(`Counting ${n(total)} flights of ${PARTITIONS} partitions in ${s3 ? place : `the folder ${place}`}.`)
console.log(`They come within ${n(seconds)} s. Each shard commits every 200 ms; a lease is ${leaseMs / 1000} s.\n`)
makeNotes(notes)
const start = Date.now()
const fleet = new Fleet({ place, notes, limit, start, ms, leaseMs }, (name, message) => moves.committed(name, message))
try {
  const rows = await play()
  const counted = await readAll()
  const idle = await idleUsage()
  await leaveAll()
  console.log(`\n${actsTable(rows)}`)
  console.log(requestsTable(fleet.processes))
  console.log(idle)
  await compare(counted)
} catch (error) {
  if (!interrupted.signal.aborted) throw error
  process.exitCode = 130
} finally {
  fleet.close()
  await close()
  rmSync(folder, { recursive: true, force: true })
}

/** One act after the other, evenly over the time in which flights come. */
async function play() {
  const rows = []
  for (const [i, [act, does]] of ACTS.entries()) {
    const again = begunAgain(notes)
    const began = Date.now()
    console.log(`${String(((began - start) / 1000).toFixed(1)).padStart(6)} s  ${act}`)
    await does(fleet)
    await until(start + (ms * (i + 1)) / ACTS.length)
    rows.push({ act, shards: moves.shards, ...moves.take(), again: begunAgain(notes) - again })
  }
  return rows
}

/** Follows all shards, as anybody can who is no member, until every flight is counted. */
async function readAll() {
  const latest = start + ms + LATEST_MS
  const store = await openStore({ storage: storageAt(place).storage, name: 'flights', mode: 'follower' })
  try {
    while (positionsOf(store) < total) {
      if (Date.now() > latest) throw new Error(`Only ${n(positionsOf(store))} of ${n(total)} flights were counted.`)
      await until(Date.now() + 100)
      await store.refresh()
    }
    return await readCounts(store)
  } finally {
    await store.close()
  }
}

/** @param {import('tidemark').Store} store */
function positionsOf({ offsets }) {
  return Object.values(offsets['flights'] ?? {}).reduce((sum, position) => sum + Number(position), 0)
}

async function idleUsage() {
  const thirds = 6
  const before = await fleet.usage()
  await until(Date.now() + (thirds * leaseMs) / 3)
  return idleLine(before, await fleet.usage(), thirds)
}

async function leaveAll() {
  await Promise.all(fleet.running.map((name) => fleet.leave(name)))
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
        seconds: { type: 'string', default: '45' },
        flights: { type: 'string', default: '200000' },
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
