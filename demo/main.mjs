// @ts-check
/**
 * Counts flights while its worker is killed again and again, and compares every value with a count that was never
 * disturbed. State is in ./.tidemark, and an interrupted demo goes on from there.
 *
 *     npm run demo                 the whole
 *     npm run demo -- --again      from the start, after removing ./.tidemark
 *
 * For trying things out: --flights N takes the first N of each file, --kills N, --every N events between commits.
 */
import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { MultiBar, Presets } from 'cli-progress'
import { isTidemarkError, openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { countedFlights, readInputs } from './flights/input.mjs'
import { compareCounts, delaysTable, n, readCounts, writtenTable } from './flights/report.mjs'
import { countInMemory } from './flights/statistics.mjs'
import { supervise } from './flights/supervisor.mjs'

const DIRECTORY = './.tidemark'
/** The largest number that an option takes: more than there are flights, and as many kills as a list of moments can hold. */
const MOST = 1_000_000

const NEXT = [
  '\nWhat to try next:',
  ...[
    [`npx tidemark inspect ${DIRECTORY}`, 'what the store holds'],
    [`npx tidemark scan ${DIRECTORY} --table airports --limit 5`, 'some of the counts'],
    [`npx tidemark versions ${DIRECTORY} --reverse --limit 5`, 'its last versions'],
    ['npm run demo -- --again', 'once more, from the start'],
    ['README.md', 'a program of your own'],
  ].map(([command = '', what]) => `  ${command.padEnd(58)}${what}`),
].join('\n')

const { again, limit, kills, everyEvents } = readOptions()

const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort(new Error('interrupted')))
process.once('SIGTERM', () => interrupted.abort(new Error('terminated')))

try {
  await main()
} catch (error) {
  if (!interrupted.signal.aborted) throw error
  console.log(`\nThe demo was ${interrupted.signal.reason.message}; "npm run demo" goes on from the last commit.`)
  process.exitCode = 130
}

async function main() {
  if (again) rmSync(DIRECTORY, { recursive: true, force: true })
  const inputs = readInputs(limit)
  const total = inputs.reduce((sum, { flights }) => sum + flights.length, 0)
  const found = await look(inputs)
  if (found.counted >= total) {
    console.log(`All ${n(found.counted)} flights are counted already: version ${found.version} in ${DIRECTORY}.`)
    console.log(NEXT)
    return
  }

  console.log(`Counting ${n(total)} flights: delays per route, per airport, and per hour and distance.`)
  console.log(
    `The worker commits every ${n(everyEvents)} flights to ${DIRECTORY} and is killed ${n(kills)} times on the way.`,
  )
  if (found.counted > 0) console.log(`${n(found.counted)} flights were counted before, up to version ${found.version}.`)
  console.log()
  const started = performance.now()
  const metrics = await count(total, found)
  const seconds = (performance.now() - started) / 1000

  const store = await openStore({ storage: nodeFs(DIRECTORY), name: 'flights', mode: 'follower' })
  const counted = await readCounts(store)
  const { version } = store
  await store.close()
  const { values, different } = compareCounts(counted, countInMemory(inputs))

  console.log(
    `\n${n(total)} flights counted in ${seconds.toFixed(1)} s, up to version ${n(version)}. The five busiest airports:`,
  )
  console.log(delaysTable(counted, 5))
  console.log('Written by all runs of the worker together, as far as they could tell before they were killed:')
  console.log(writtenTable(metrics))
  if (different.length > 0) {
    console.log(`DIFFERENT from a count that was never killed: ${different.length} of ${n(values)} values:`)
    for (const place of different.slice(0, 10)) console.log(`  ${place}`)
    process.exitCode = 1
    return
  }
  console.log(`Compared with a count that was never killed: all ${n(values)} values are equal.`)
  console.log(NEXT)
}

/** Ends the program with one sentence when the command line is wrong, before anything is removed or made. */
function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        again: { type: 'boolean', default: false },
        flights: { type: 'string', default: '200000' },
        kills: { type: 'string', default: '5' },
        every: { type: 'string', default: '500' },
      },
    })
    return {
      again: values.again,
      limit: wholeNumber('flights', values.flights, 1),
      kills: wholeNumber('kills', values.kills, 0),
      everyEvents: wholeNumber('every', values.every, 1),
    }
  } catch (error) {
    // The message of parseArgs goes on with advice about positional arguments, of which there are none.
    const [sentence] = String(/** @type {Error} */ (error).message).split(/\. |\n/)
    console.error(`demo: ${sentence?.replace(/\.$/, '')}.`)
    process.exit(1)
  }
}

/**
 * @param {string} name
 * @param {string} text
 * @param {number} least
 */
function wholeNumber(name, text, least) {
  const number = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number >= least && number <= MOST) return number
  throw new Error(`--${name} takes a whole number from ${least} to ${n(MOST)}, not "${text}"`)
}

/**
 * Looks how much is counted already.
 *
 * @param {import('./flights/input.mjs').Input[]} inputs
 */
async function look(inputs) {
  try {
    const store = await openStore({ storage: nodeFs(DIRECTORY), name: 'flights', mode: 'follower', create: false })
    const found = { counted: countedFlights(inputs, store.offsets), version: store.version }
    await store.close()
    return found
  } catch (error) {
    if (isTidemarkError(error) && error.code === 'NOT_FOUND') return { counted: 0, version: 0 }
    throw error
  }
}

/**
 * @param {number} total
 * @param {{ counted: number, version: number }} found
 */
async function count(total, { counted, version }) {
  const bars = new MultiBar(
    {
      format: '  {bar} {percentage} %   {value} of {total} flights, version {version}',
      formatValue: (value, _, type) => (type === 'value' || type === 'total' ? n(value) : String(value)),
      hideCursor: true,
      gracefulExit: false,
      clearOnComplete: true,
      stream: process.stdout,
    },
    Presets.shades_classic,
  )
  const isTerminal = Boolean(process.stdout.isTTY)
  const bar = isTerminal ? bars.create(total, counted, { version }) : undefined
  /** @param {string} text */
  const say = (text) => (isTerminal ? bars.log(`${text}\n`) : console.log(text))
  const step = total / 5
  let told = Math.floor(counted / step)
  try {
    return await supervise({
      directory: DIRECTORY,
      limit,
      everyEvents,
      total,
      counted,
      kills,
      signal: interrupted.signal,
      onProgress(now, version) {
        bar?.update(now, { version })
        if (isTerminal || Math.floor(now / step) <= told) return
        told = Math.floor(now / step)
        say(`  ${Math.floor((100 * now) / total)} %   ${n(now)} of ${n(total)} flights, version ${version}`)
      },
      onRestart({ begun, counted: from, version }) {
        const again = Math.max(0, begun - from)
        say(
          `  killed in flight ${n(begun)}: went on at ${n(from)}, version ${n(version)}; ${n(again)} flights read again`,
        )
      },
    })
  } finally {
    bars.stop()
  }
}
