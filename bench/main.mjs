/**
 * Tidemark beside other stores on Node and a local disk: `npm run bench -- --help`.
 *
 * Each work of each peer runs in a process of its own, on a copy of the same rows. The peers take turns within a round, in
 * another order each time, so that what else the machine does hits all of them. Of a round only ratios count: the figure
 * of Tidemark over that of a peer; the median over the rounds stands in the table, with the lowest and the highest.
 */
import { execFile } from 'node:child_process'
import {
  closeSync,
  cpSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { printTables } from './report.mjs'
import { physicalLimits } from './limits.mjs'
import { works } from './works.mjs'

const allPeers = ['tidemark', 'classic-level', 'lmdb', 'better-sqlite3', 'log-by-hand', 'json-file']

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    rows: { type: 'string', default: '100000' },
    work: { type: 'string', default: Object.keys(works).join(',') },
    peers: { type: 'string', default: allPeers.join(',') },
    values: { type: 'string', default: 'objects,strings' },
    epochs: { type: 'string', default: '200' },
    commits: { type: 'string', default: '10000' },
    gets: { type: 'string', default: '400000' },
    folder: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (flags.help) {
  console.log(`npm run bench -- [flags]

  --rounds 5          how often each peer has its turn
  --rows 100000       rows of the table
  --work a,b          ${Object.keys(works).join(', ')}
  --peers a,b         ${allPeers.join(', ')}
  --values objects    objects, strings
  --epochs 200  --commits 10000  --gets 400000
  --folder path       where the stores are made; default: the system's folder for temporary files
  --json file         writes every figure of every round`)
  process.exit()
}

const rows = Number(flags.rows)
const counts = { epochs: Number(flags.epochs), commits: Number(flags.commits), gets: Number(flags.gets) }
const chosenWorks = flags.work.split(',')
const run = promisify(execFile)
const base = mkdtempSync(join(flags.folder ?? tmpdir(), 'tidemark-bench-'))
process.on('exit', () => rmSync(base, { recursive: true, force: true }))

const peers = await present(flags.peers.split(','))
const machine = {
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  node: process.version,
}
const results = { machine, limits: await physicalLimits(base), rows, rounds: Number(flags.rounds), figures: [] }

for (const values of flags.values.split(',')) {
  for (const name of chosenWorks) {
    for (let round = 0; round < results.rounds; round++) {
      // Another one begins each time.
      const order = peers.map((_, i) => peers[(i + round) % peers.length])
      for (const peer of order) {
        const figures = await measure(peer, name, values)
        if (figures) results.figures.push({ values, work: name, peer, round, figures })
      }
    }
    printTables(results, { values, work: name })
  }
}
if (flags.json) writeFileSync(flags.json, JSON.stringify(results, undefined, 1))

async function measure(peer, name, values) {
  const folder = join(base, 'run')
  const needs = works[name].needs(rows)
  rmSync(folder, { recursive: true, force: true })
  if (needs > 0) {
    cpSync(await prepared(peer, values), folder, { recursive: true })
    flush(folder)
  } else mkdirSync(folder)
  try {
    return await inProcess({ peer, work: name, folder, rows, values, counts: countsOf(peer) })
  } catch (error) {
    console.error(`${peer}, ${name}: ${String(error.stderr ?? error).slice(-400)}`)
    return undefined
  }
}

/** Who writes everything for each commit makes a hundredth of the small ones, so that the run comes to an end. */
function countsOf(peer) {
  return peer === 'json-file' ? { ...counts, commits: Math.ceil(counts.commits / 100) } : counts
}

/** Makes the copy durable, as the store was: the first sync of a peer would have to write what was copied. */
function flush(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const fd = openSync(join(entry.parentPath, entry.name), 'r+')
    fsyncSync(fd)
    closeSync(fd)
  }
}

/** The folder of a peer with all rows in it; it is made once. */
async function prepared(peer, values) {
  const folder = join(base, `${peer}-${values}`)
  if (!existsSync(folder)) {
    mkdirSync(folder)
    await inProcess({ peer, work: 'load', folder, rows, values, counts })
  }
  return folder
}

async function inProcess(task) {
  const worker = join(import.meta.dirname, 'worker.mjs')
  const { stdout } = await run(process.execPath, ['--expose-gc', worker, JSON.stringify(task)], {
    maxBuffer: 1 << 24,
    timeout: 600_000,
  })
  return JSON.parse(stdout)
}

/** Those that can be loaded here; the others are named. */
async function present(names) {
  const there = []
  for (const name of names) {
    try {
      await run(process.execPath, ['-e', `import(${JSON.stringify(join(import.meta.dirname, `peers/${name}.mjs`))})`])
      there.push(name)
    } catch {
      console.log(`${name} is not there: it cannot be loaded on this machine.`)
    }
  }
  return there
}
