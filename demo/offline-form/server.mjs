/**
 * Serves the form, and signs what the page sends to the bucket, so that the page has no key. `npm install idb aws4fetch rolldown`
 * beside Tidemark.
 *
 *     node demo/offline-form/server.mjs 3000
 *
 * The bucket is that of S3_BUCKET_URL, https://host/bucket, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION.
 * Without it this is a local R2 of miniflare, which forgets all when it ends. A real server asks who is there before it signs,
 * and lets each user reach the stores that are theirs.
 */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { AwsClient } from 'aws4fetch'
import { rolldown } from 'rolldown'

const [port = '3000'] = process.argv.slice(2)
const here = import.meta.dirname
const SENT = ['content-type', 'content-md5', 'if-match', 'if-none-match', 'range']
const ANSWERED = ['content-type', 'content-range', 'etag', 'last-modified', 'date', 'age']

const { url, ...keys } = process.env.S3_BUCKET_URL ? given() : await local()
const aws = new AwsClient({ ...keys, service: 's3', retries: 0 })

function given() {
  const { S3_BUCKET_URL: url = '', AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION: region = 'auto' } = process.env
  return { url, region, accessKeyId: AWS_ACCESS_KEY_ID ?? '', secretAccessKey: AWS_SECRET_ACCESS_KEY ?? '' }
}

async function local() {
  const { Miniflare } = await import('miniflare')
  const s3Credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
  const nothing = 'export default { fetch: () => new Response() }'
  const miniflare = new Miniflare({
    modules: true,
    script: nothing,
    r2Buckets: { B: { id: 'reports', s3Credentials } },
  })
  const url = new URL('/cdn-cgi/local/r2/s3/reports', await miniflare.ready).href
  return { url, region: 'auto', ...s3Credentials }
}

/** In one file: a page that is offline can't load a part of it later. */
async function bundled() {
  const bundle = await rolldown({ input: join(here, 'app.js'), platform: 'browser' })
  const { output } = await bundle.generate({ format: 'esm', codeSplitting: false })
  await bundle.close()
  return output[0].code
}

const html = ['text/html', await readFile(join(here, 'index.html'))]
const script = ['text/javascript', await bundled()]
const worker = ['text/javascript', await readFile(join(here, 'service-worker.js'))]
const pages = { '/': html, '/app.js': script, '/service-worker.js': worker }

/** Sends a request on to the bucket, signed. */
async function pass(request, response, path) {
  const headers = Object.fromEntries(SENT.map((name) => [name, request.headers[name]]).filter(([, value]) => value))
  const body = request.method === 'GET' ? undefined : Buffer.concat(await request.toArray())
  const answer = await aws.fetch(url + path, { method: request.method, headers, body, redirect: 'manual' })
  for (const name of ANSWERED) if (answer.headers.has(name)) response.setHeader(name, answer.headers.get(name))
  response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()))
}

const server = createServer((request, response) => {
  const [, path] = /^\/bucket([/?].*)$/.exec(request.url) ?? []
  const [type, content] = pages[request.url] ?? []
  if (path !== undefined) pass(request, response, path).catch(() => response.destroy())
  else response.writeHead(type ? 200 : 404, { 'content-type': type ?? 'text/plain' }).end(content ?? 'not found')
})
server.listen(Number(port), '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`listening on http://127.0.0.1:${port}`)
})
