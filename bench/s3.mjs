/**
 * Counts what Tidemark asks of an S3 server: requests, bytes and round trips, none of which depends on the machine.
 * `npm run bench:s3 -- --help`.
 *
 * The server is a real one, R2's in miniflare, with the Date in its answers that S3 has. Each request passes a counter. A request is one
 * deeper than the deepest that was answered before it was sent; answers are held back, so that those sent together stay together.
 */
import { deflateRawSync } from 'node:zlib'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { AwsClient } from 'aws4fetch'
import { Miniflare } from 'miniflare'
import { openStore } from 'tidemark'
import { s3Fetch } from 'tidemark/s3-fetch'
import { keyOf, objectOf, random } from './data.mjs'
import { show } from './report.mjs'

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    epochs: { type: 'string', default: '200' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (flags.help) {
  console.log(`npm run bench:s3 -- [flags]

  --rows 100000   rows of the table
  --epochs 200    commits of 1 % of the rows
  --json file     writes the figures`)
  process.exit()
}

const rows = Number(flags.rows)
const epochs = Number(flags.epochs)
const HOLD_MS = 200

const credentials = { accessKeyId: 'AKIDTIDEMARK', secretAccessKey: 'sEcReT-kEy-0123456789' }
const server = new Miniflare({
  modules: true,
  script: 'export default { fetch: () => new Response("") }',
  r2Buckets: { BUCKET: { id: 'bucket', s3Credentials: credentials } },
})

const counts = {}
const count = (name, by) => (counts[name] = (counts[name] ?? 0) + by)
let holds = false
let depth = 0
const counted = async (url, init = {}) => {
  const own = depth + 1
  const method = init.method ?? 'GET'
  const kind = method === 'GET' && new URL(url).searchParams.has('list-type') ? 'LIST' : method
  const length = init.body?.byteLength ?? 0
  count(kind, 1)
  count('uploaded', length)
  if (method === 'PUT') count(/\/(log|seg|anchor)\b/.exec(url)?.[1] ?? 'other', length)
  const answer = await aws.fetch(url, init)
  if (holds) await new Promise((resolve) => setTimeout(resolve, HOLD_MS))
  depth = Math.max(depth, own)
  const headers = new Headers(answer.headers)
  headers.set('date', new Date().toUTCString())
  return new Response(answer.status === 204 ? null : answer.body, { status: answer.status, headers })
}
const aws = new AwsClient({ ...credentials, region: 'auto', service: 's3', retries: 0 })

function takeCounts() {
  const taken = { ...counts }
  for (const name of Object.keys(counts)) delete counts[name]
  return taken
}

try {
  const figures = await measure(new URL('/cdn-cgi/local/r2/s3', await server.ready).href)
  console.log(`S3, ${rows} rows, ${epochs} epochs of 1 %`)
  for (const [name, value] of Object.entries(figures)) console.log(`  ${name.padEnd(58)} ${show(value)}`)
  if (flags.json) writeFileSync(flags.json, JSON.stringify({ rows, epochs, figures }, undefined, 1))
} finally {
  await server.dispose()
}

async function measure(endpoint) {
  const open = (options) =>
    openStore({ storage: s3Fetch({ fetch: counted, url: `${endpoint}/bucket` }), name: 'bench', ...options })
  let store = await open()
  for (let i = 0; i < rows; i++) store.put(keyOf(i), objectOf(i))
  await store.commit()
  await store.checkpoint()
  takeCounts()

  const next = random(21)
  let deflated = 0
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const changes = []
    for (let i = 0; i < rows / 100; i++) {
      const row = Math.floor(next() * rows)
      const value = objectOf(row, epoch)
      store.put(keyOf(row), value)
      changes.push([keyOf(row), value])
    }
    deflated += deflateRawSync(JSON.stringify(changes), { level: 6 }).length
    await store.commit({ offsets: { events: epoch * 1000 } })
  }
  await store.close()
  const run = takeCounts()
  const requests = (run.PUT ?? 0) + (run.GET ?? 0) + (run.LIST ?? 0) + (run.HEAD ?? 0)

  holds = true
  depth = 0
  store = await open({ resident: true })
  const deep = depth
  holds = false
  const opened = takeCounts()
  const { tail, segments } = store.metrics()
  if (store.getSync(keyOf(1)) === undefined) throw new Error('A key is missing.')
  await store.close()
  return {
    'bytes uploaded per epoch': run.uploaded / epochs,
    'of the deflated changes': run.uploaded / deflated,
    'of these in entries': run.log / deflated,
    'of these in segments': run.seg / deflated,
    'requests per epoch, deletes apart': requests / epochs,
    'PUT per epoch': run.PUT / epochs,
    'GET per epoch': (run.GET ?? 0) / epochs,
    'LIST per epoch': (run.LIST ?? 0) / epochs,
    'recovery, resident: round trips deep': deep,
    'recovery, resident: requests': ['PUT', 'GET', 'LIST', 'HEAD'].reduce((sum, kind) => sum + (opened[kind] ?? 0), 0),
    'entries of the tail': tail,
    segments: segments.live,
  }
}
