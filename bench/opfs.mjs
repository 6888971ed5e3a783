/**
 * Would a log in a file of the origin private file system be faster than one in IndexedDB, in Chromium, at equal durability?
 *
 *     npm run build && node bench/opfs.mjs
 *
 * Each round loads the page anew for each side and measures the first opening (100 KiB of state and a tail of sixteen
 * entries are read, a fence is written) and the median of 300 commits of 300 bytes, one after another. The profile lies on
 * the disk: without one Chromium keeps both storages in memory. Flags: --rounds, --commits.
 */
import { createReadStream, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { chromiumFlags, findChromium } from '../.ci/browsers.mjs'
import { root } from '../.ci/entries.mjs'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, commits: { type: 'string', default: '300' } },
})
const rounds = Number(values.rounds)
const commits = Number(values.commits)
const sides = ['indexedDb', 'opfs']

const imports = {
  'tidemark/indexeddb': '/dist/indexeddb.js',
  idb: '/node_modules/idb/build/index.js',
  fflate: '/node_modules/fflate/esm/browser.js',
  '@noble/hashes/': '/node_modules/@noble/hashes/',
}
const html = `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>
<script type="module" src="/bench/opfs-page.mjs"></script>`

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost')
  if (pathname === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end(html)
  const file = join(root, pathname)
  if (!file.startsWith(root) || !existsSync(file)) return response.writeHead(404).end()
  response.writeHead(200, { 'content-type': 'text/javascript' })
  createReadStream(file).pipe(response)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
const origin = `http://127.0.0.1:${typeof address === 'object' ? address.port : ''}`

// Where that is kept in memory, TMPDIR has to name a folder on a disk.
const profile = mkdtempSync(join(tmpdir(), 'tidemark-opfs-'))
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: findChromium(),
  args: chromiumFlags,
  headless: true,
})
try {
  const version = browser.browser()?.version() ?? 'of unknown version'
  console.log(`Chromium ${version}, ${rounds} rounds of ${commits} commits of 300 bytes`)
  const page = await browser.newPage()
  for (const side of sides) await measure(page, side, 'fill')
  const found = []
  for (let round = 0; round < rounds; round++) {
    const results = {}
    // Neither side always comes first.
    for (const side of round % 2 === 0 ? sides : sides.toReversed())
      results[side] = await measure(page, side, 'measure')
    found.push(results)
    const shown = sides.map((side) => {
      const { open, commit, warm } = results[side]
      return `${side} open ${open.toFixed(1)} (again ${warm.toFixed(1)}), commit ${commit.toFixed(3)}`
    })
    console.log(`round ${round + 1}, ms: ${shown.join('; ')}`)
  }
  for (const what of ['open', 'warm', 'commit']) {
    const medians = sides.map((side) => median(found.map((results) => results[side][what])))
    const ratio = median(found.map((results) => results.indexedDb[what] / results.opfs[what]))
    console.log(
      `${what}, median of rounds: indexedDb ${medians[0].toFixed(3)} ms, opfs ${medians[1].toFixed(3)} ms, ratio ${ratio.toFixed(2)}`,
    )
  }
} finally {
  await browser.close()
  server.close()
  rmSync(profile, { recursive: true, force: true })
}

async function measure(page, side, what) {
  await page.goto(`${origin}/`)
  await page.waitForFunction('globalThis.ready === true')
  return page.evaluate(`globalThis.run(${JSON.stringify({ side, what, commits })})`)
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1]
}
