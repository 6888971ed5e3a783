/**
 * Tidemark beside what a page would otherwise use, in Chromium: `npm run bench:browser -- --help`. Each peer fills a fresh
 * profile on the disk and is opened again by a new page; the peers take turns within a round, another one first each time.
 */
import { createReadStream, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { rolldown } from 'rolldown'
import { chromiumFlags, findChromium } from '../.ci/browsers.mjs'
import { printTable } from './report.mjs'

const allPeers = ['tidemark', 'raw IndexedDB', 'idb', 'dexie', 'browser-level', 'sqlite-wasm', 'tinybase']

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    rows: { type: 'string', default: '100000' },
    peers: { type: 'string', default: allPeers.join(',') },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (flags.help) {
  console.log(`npm run bench:browser -- [flags]

  --rounds 5      how often each peer has its turn
  --rows 100000   rows of the table
  --peers a,b     ${allPeers.join(', ')}
  --json file     writes every figure of every round`)
  process.exit()
}

const rows = Number(flags.rows)
const peers = flags.peers.split(',')
const built = mkdtempSync(join(tmpdir(), 'tidemark-bench-page-'))
await bundle()
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost')
  if (pathname === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>')
  const file = pathname.startsWith('/wasm/')
    ? join(import.meta.dirname, 'node_modules/@sqlite.org/sqlite-wasm/dist', pathname.slice(6))
    : join(built, pathname)
  if (pathname.includes('..') || !existsSync(file)) return response.writeHead(404).end()
  const type = file.endsWith('.wasm') ? 'application/wasm' : 'text/javascript'
  response.writeHead(200, { 'content-type': type })
  createReadStream(file).pipe(response)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const origin = `http://127.0.0.1:${server.address().port}`

const results = { rows, rounds: Number(flags.rounds), figures: [] }
try {
  for (let round = 0; round < results.rounds; round++) {
    const order = peers.map((_, i) => peers[(i + round) % peers.length])
    for (const peer of order) {
      try {
        results.figures.push({ peer, round, figures: await measure(peer) })
      } catch (error) {
        console.error(`${peer}: ${error.message}`)
      }
    }
    console.error(`round ${round + 1} of ${results.rounds}`)
  }
  printTable(results, `Chromium, IndexedDB (${rows} rows, ${results.rounds} rounds)`)
  if (flags.json) writeFileSync(flags.json, JSON.stringify(results, undefined, 1))
} finally {
  server.close()
  rmSync(built, { recursive: true, force: true })
}

async function measure(peer) {
  const profile = mkdtempSync(join(tmpdir(), 'tidemark-bench-profile-'))
  try {
    return { ...(await life(profile, peer, 'fill')), ...(await life(profile, peer, 'reopen')) }
  } finally {
    rmSync(profile, { recursive: true, force: true })
  }
}

/** A browser of its own: nothing is left of it but what is on the disk. */
async function life(profile, peer, what) {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: findChromium(),
    args: chromiumFlags,
    headless: true,
  })
  try {
    const page = await context.newPage()
    await page.goto(`${origin}/`)
    const task = JSON.stringify({ peer, life: what, rows })
    const answer = await page.evaluate(`new Promise((resolve, reject) => {
      const worker = new Worker('/worker.js', { type: 'module' })
      worker.onmessage = ({ data }) => resolve(data)
      worker.onerror = ({ message }) => reject(new Error(message || 'The worker could not be loaded.'))
      worker.postMessage(${task})
    })`)
    if (answer.error) throw new Error(answer.error)
    return answer.figures
  } finally {
    await context.close()
  }
}

async function bundle() {
  const bundled = await rolldown({
    input: { worker: join(import.meta.dirname, 'browser/worker.mjs') },
    platform: 'browser',
    logLevel: 'silent',
    // browser-level wants Node's events.
    resolve: { alias: { events: join(import.meta.dirname, 'node_modules/events/events.js') } },
  })
  await bundled.write({ dir: built, format: 'esm', entryFileNames: '[name].js', minify: true })
  await bundled.close()
}
