// @ts-check
/**
 * A bucket for the page: an S3 server on loopback, which is the one of miniflare (Cloudflare's R2), and before it a gate. The
 * gate holds the keys and signs what it passes on, so that the page needs none, and it lets pages of other origins in.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { AwsClient } from 'aws4fetch'
import { Miniflare } from 'miniflare'

const BUCKET = 'flights'
const KEYS = { accessKeyId: 'AKIDTIDEMARK', secretAccessKey: 'the key of a demo' }
/** Headers of S3 that count; what belongs to a connection, or to a browser, is not passed on. */
const PASSED = ['content-type', 'content-md5', 'if-match', 'if-none-match', 'range']
const EXPOSED = ['content-type', 'etag', 'date', 'last-modified', 'content-range']
const ALLOWED = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, HEAD, PUT, POST, DELETE',
  'access-control-allow-headers': PASSED.join(),
  'access-control-expose-headers': [...EXPOSED, 'x-status', 'age', 'content-length'].join(),
  'access-control-max-age': '600',
}

export async function startBucket() {
  const miniflare = new Miniflare({
    modules: true,
    script: 'export default { fetch: () => new Response("") }',
    r2Buckets: { B: { id: BUCKET, s3Credentials: KEYS } },
  })
  const aws = new AwsClient({ ...KEYS, region: 'auto', service: 's3', retries: 0 })
  const endpoint = new URL('/cdn-cgi/local/r2/s3', await miniflare.ready).href
  const gate = createServer((request, response) => void pass(request, response))
  gate.listen(0, '127.0.0.1')
  await once(gate, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (gate.address())
  return {
    /** The bucket, as the page reaches it. */
    url: `http://127.0.0.1:${port}/${BUCKET}`,
    async close() {
      gate.closeAllConnections()
      gate.close()
      await miniflare.dispose()
    },
  }

  /**
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   */
  async function pass(request, response) {
    if (request.method === 'OPTIONS') return void response.writeHead(204, ALLOWED).end()
    try {
      const answer = await aws.fetch(endpoint + request.url, {
        method: request.method ?? 'GET',
        headers: pick(PASSED, (name) => request.headers[name]),
        body: await bodyOf(request),
      })
      const bytes = Buffer.from(await answer.arrayBuffer())
      const headers = pick(EXPOSED, (name) => answer.headers.get(name))
      // A browser reports each 404 and 412 in its console as an error. Here these are answers like others, so they travel as a header.
      const status = { 'x-status': String(answer.status) }
      response.writeHead(200, { ...ALLOWED, ...headers, ...status, 'content-length': bytes.length }).end(bytes)
    } catch {
      // The bucket has gone away. The page's storage takes this for an unknown outcome, as it has to.
      response.destroy()
    }
  }
}

/**
 * @param {readonly string[]} names
 * @param {(name: string) => string | string[] | null | undefined} valueOf
 */
function pick(names, valueOf) {
  /** @type {Record<string, string>} */
  const headers = {}
  for (const name of names) {
    const value = valueOf(name)
    if (value) headers[name] = String(value)
  }
  return headers
}

/** @param {import('node:http').IncomingMessage} request */
async function bodyOf(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return chunks.length > 0 || request.method === 'PUT' ? Buffer.concat(chunks) : null
}
