/**
 * A loopback server that stands before an S3 server which says nothing of CORS, as that in miniflare, and allows pages of any
 * origin what docs/adapters.md asks of a bucket's rules. It notes each request, so that tests can count what went over the wire.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { request } from 'node:http'

export interface WireSeen {
  readonly method: string
  /** With the query, without the path of the bucket. */
  readonly key: string
  readonly status: number
  /** The bytes of its body. */
  readonly sent: number
  /** The bytes of the answer's body. */
  readonly answered: number
}

export interface CorsProxy {
  /** As the endpoint was given, but with the address of this server. */
  readonly endpoint: string
  readonly seen: WireSeen[]
  close(): Promise<void>
}

const ALLOWED = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'etag, date, age, content-range, content-length, last-modified',
}
const PREFLIGHT = {
  ...ALLOWED,
  'access-control-allow-methods': 'GET, PUT, POST, DELETE',
  'access-control-allow-headers':
    'authorization, content-type, content-md5, if-match, if-none-match, range, x-amz-content-sha256, x-amz-date',
  'access-control-max-age': '600',
}

export async function startCorsProxy(endpoint: string, bucket: string): Promise<CorsProxy> {
  const target = new URL(endpoint)
  const path = `${target.pathname}/${bucket}`
  const seen: WireSeen[] = []

  const server = createServer((incoming, outgoing) => {
    if (incoming.method === 'OPTIONS') outgoing.writeHead(204, PREFLIGHT).end()
    else pass(incoming, outgoing).catch(() => outgoing.destroy())
  })

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = incoming
    const body = Buffer.concat(await incoming.toArray())
    // The signature is over the Host that the page has sent. Servers of developers refuse pages of other origins.
    const { origin: _origin, referer: _referer, ...headers } = incoming.headers
    const sending = request({ host: target.hostname, port: target.port, method, path: url, headers })
    sending.end(body)
    const [answer] = (await once(sending, 'response')) as [IncomingMessage]
    const answered = Buffer.concat(await answer.toArray())
    const status = answer.statusCode!
    const key = url.startsWith(path) ? decodeURIComponent(url.slice(path.length).replace(/^\//, '')) : url
    seen.push({ method, key, status, sent: body.length, answered: answered.length })
    const { 'transfer-encoding': _encoding, ...rest } = answer.headers
    outgoing.writeHead(status, { ...rest, ...ALLOWED }).end(answered)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}${target.pathname}`,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
