/**
 * A small S3 on node:http, for what no real one shows on demand: each request may be given a fault.
 *
 * - It enforces conditions as AWS documents them, or as Ceph does (`dialect: 'ceph'`: ETags in If-Match without quotes, and
 *   500 for the losers of a race: of requests that came before the winner's was served).
 * - Signatures are not checked, but there has to be one.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export type S3Fault =
  /** An answer instead of the true one; with `applied`, of a request that was served all the same. */
  | {
      readonly status: number
      readonly code?: string
      readonly applied?: boolean
      readonly headers?: Record<string, string>
    }
  /** The connection ends before, or after, the request is served. */
  | 'hang-up'
  | 'reply-lost'
  /** Served after a while; the connection ends at once. */
  | { readonly late: number }
  /** No answer, and the connection stays; the same of a request that was served. */
  | 'no-answer'
  | 'silently-served'
  /** Half of the body, and then the end of the connection; half of it, and then nothing. */
  | 'cut-body'
  | 'stalled-body'
  /** All of the object, although a range was asked for. */
  | 'whole-body'
  /** A body that is whole by its length, and shorter or other than what was stored. */
  | 'short-body'
  | 'damaged-body'
  /** The true answer, byte for byte, over so many milliseconds. */
  | { readonly slow: number }
  /** 404 from a cache. */
  | 'cached-404'
  /** A list as it was before the last so many writes. */
  | { readonly staleList: number }

export interface S3Seen {
  readonly index: number
  readonly came: number
  readonly method: string
  readonly key: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly conditional: boolean
}

export interface S3ServerOptions {
  readonly bucket?: string
  readonly dialect?: 'aws' | 'ceph'
  /** How far the server's clock is ahead, in milliseconds; `undefined` sends no Date. Default: 0. */
  readonly skewMs?: number | undefined
  readonly deleteMany?: boolean
  /** The content of the ETag header: the quoted MD5, the same as a proxy weakens it, or a number. Default: md5. */
  readonly etags?: 'md5' | 'weak' | 'number'
  readonly decide?: (request: S3Seen) => S3Fault | undefined
}

interface Stored {
  readonly bytes: Buffer
  readonly etag: string
  readonly time: number
  /** By a clock that only goes forward. */
  readonly served: number
}

interface Answered {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: Buffer | string
}

export interface S3Server {
  readonly url: string
  readonly objects: Map<string, Stored>
  readonly requests: S3Seen[]
  decide: S3ServerOptions['decide']
  /** As in the options; may be changed while it runs. */
  skewMs: number | undefined
  /** Resolves when all late writes have landed. */
  settled(): Promise<void>
  /** How many connections there are. */
  connections(): number
  close(): Promise<void>
}

export async function startS3Server(options: S3ServerOptions = {}): Promise<S3Server> {
  const { bucket = 'bucket', dialect = 'aws', deleteMany = true, etags = 'md5' } = options
  let numbers = 0
  const objects = new Map<string, Stored>()
  /** Of each write the keys that it puts or deletes, and whether they were there before. */
  const history: (readonly (readonly [key: string, wasThere: boolean])[])[] = []
  const requests: S3Seen[] = []
  const sockets = new Set<Socket>()
  const late = new Set<Promise<void>>()

  const http = createServer((request, response) => {
    void handle(request, response).catch(() => request.socket.destroy())
  })
  // A connection that ends while the next request is on its way is a fault that nobody asked for.
  http.keepAliveTimeout = 0
  http.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))

  const server: S3Server = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    objects,
    requests,
    decide: options.decide,
    skewMs: 'skewMs' in options ? options.skewMs : 0,
    async settled() {
      while (late.size > 0) await Promise.all(late)
    },
    connections: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => http.close(resolve))
    },
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const came = performance.now()
    const url = new URL(request.url ?? '/', server.url)
    const [, first = '', ...rest] = url.pathname.split('/')
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const { method = 'GET', headers } = request
    const key = decodeURIComponent(rest.join('/'))
    const conditional = headers['if-match'] !== undefined || headers['if-none-match'] !== undefined
    const query = url.searchParams
    const seen: S3Seen = { index: requests.length, came, method, key, query, headers, conditional }
    requests.push(seen)
    const serve = (): Answered => (first === bucket ? answer(seen, body) : refusal(404, 'NoSuchBucket'))
    const fault = server.decide?.(seen)
    // Long enough for requests to meet.
    if (dialect === 'ceph' && conditional) await new Promise((resolve) => setTimeout(resolve, 5))

    if (fault === 'no-answer') return
    if (fault === 'silently-served') return void serve()
    if (fault === 'whole-body') delete headers.range
    if (fault === 'hang-up') return void request.socket.destroy()
    if (fault === 'reply-lost') {
      serve()
      return void request.socket.destroy()
    }
    if (fault === 'cached-404') return send(response, { ...refusal(404, 'NoSuchKey'), headers: { age: '7' } })
    if (typeof fault === 'object' && 'late' in fault) {
      const landing = new Promise<void>((resolve) => {
        setTimeout(() => {
          serve()
          resolve()
        }, fault.late)
      })
      late.add(landing)
      void landing.then(() => late.delete(landing))
      return void request.socket.destroy()
    }
    if (typeof fault === 'object' && 'status' in fault) {
      if (fault.applied) serve()
      return send(response, { ...refusal(fault.status, fault.code), headers: fault.headers ?? {} })
    }
    const stale = typeof fault === 'object' && 'staleList' in fault ? fault.staleList : 0
    const truth = stale > 0 && seen.query.has('list-type') ? list(seen, keysBefore(stale)) : serve()
    await damage(response, truth, fault)
  }

  async function damage(response: ServerResponse, truth: Answered, fault: S3Fault | undefined): Promise<void> {
    const body = Buffer.from(truth.body ?? '')
    if (body.length === 0 || truth.status >= 300) return send(response, truth)
    if (fault === 'short-body') return send(response, { ...truth, body: body.subarray(0, body.length >> 1) })
    if (fault === 'damaged-body') {
      const other = Buffer.from(body)
      other[other.length >> 1]! ^= 1
      return send(response, { ...truth, body: other })
    }
    if (fault === 'cut-body' || fault === 'stalled-body') {
      head(response, truth, body.length)
      response.write(body.subarray(0, body.length >> 1), () => {
        if (fault === 'cut-body') response.socket?.destroy()
      })
      return
    }
    if (typeof fault === 'object' && 'slow' in fault) {
      head(response, truth, body.length)
      const step = Math.ceil(body.length / 8)
      for (let i = 0; i < body.length; i += step) {
        await new Promise((resolve) => setTimeout(resolve, fault.slow / 8))
        response.write(body.subarray(i, i + step))
      }
      return void response.end()
    }
    send(response, truth)
  }

  function answer(seen: S3Seen, body: Buffer): Answered {
    const { method, key, query, headers } = seen
    if (headers.authorization === undefined && !query.has('X-Amz-Signature')) return refusal(403, 'AccessDenied')
    const md5 = headers['content-md5']
    if (md5 !== undefined && md5 !== hash(body, 'base64')) return refusal(400, 'BadDigest')
    if (key === '' && method === 'PUT') return { status: 200 }
    if (key === '' && method === 'GET') return list(seen, [...objects.keys()])
    if (key === '' && method === 'POST') return deleteMany ? deleteAll(body.toString()) : refusal(501, 'NotImplemented')
    if (method === 'PUT') return put(seen, body)
    if (method === 'DELETE') {
      deleteKeys([key])
      return { status: 204 }
    }
    return method === 'GET' ? get(key, headers.range) : refusal(405, 'MethodNotAllowed')
  }

  function deleteKeys(keys: readonly string[]): void {
    history.push(keys.map((key) => [key, objects.has(key)]))
    for (const key of keys) objects.delete(key)
  }

  /** The keys that there were before the last so many writes. */
  function keysBefore(writes: number): string[] {
    const keys = new Set(objects.keys())
    for (const write of history.slice(-writes).reverse())
      for (const [key, wasThere] of write) {
        if (wasThere) keys.add(key)
        else keys.delete(key)
      }
    return [...keys]
  }

  function put({ key, headers, conditional, came }: S3Seen, body: Buffer): Answered {
    const there = objects.get(key)
    if (dialect === 'ceph' && conditional && there && there.served > came) return refusal(500, 'UnknownError')
    if (headers['if-none-match'] === '*' && there) return refusal(412, 'PreconditionFailed')
    const wanted = headers['if-match']
    if (wanted !== undefined) {
      if (!there) return dialect === 'ceph' ? refusal(412, 'PreconditionFailed') : refusal(404, 'NoSuchKey')
      const etag = dialect === 'ceph' ? there.etag.replaceAll('"', '') : there.etag
      if (wanted !== etag) return refusal(412, 'PreconditionFailed')
    }
    history.push([[key, there !== undefined]])
    const etag = etags === 'number' ? `"${String(++numbers).padStart(32, '0')}"` : `"${hash(body, 'hex')}"`
    objects.set(key, { bytes: body, etag, time: Date.now() + (server.skewMs ?? 0), served: performance.now() })
    return { status: 200, headers: { etag } }
  }

  function get(key: string, range: string | undefined): Answered {
    const there = objects.get(key)
    if (!there) return refusal(404, 'NoSuchKey')
    const etag = etags === 'weak' ? `W/${there.etag}` : there.etag
    const headers: Record<string, string> = { etag, 'last-modified': new Date(there.time).toUTCString() }
    const match = /^bytes=(\d+)-(\d+)$/.exec(range ?? '')
    if (match === null) return { status: 200, headers, body: there.bytes }
    const from = Number(match[1])
    const to = Math.min(Number(match[2]), there.bytes.length - 1)
    if (from >= there.bytes.length) return refusal(416, 'InvalidRange')
    headers['content-range'] = `bytes ${from}-${to}/${there.bytes.length}`
    return { status: 206, headers, body: there.bytes.subarray(from, to + 1) }
  }

  function list({ query }: S3Seen, keys: readonly string[]): Answered {
    const after = query.get('continuation-token') ?? query.get('start-after') ?? ''
    const most = Number(query.get('max-keys') ?? 1000)
    const prefix = query.get('prefix') ?? ''
    const all = keys.filter((key) => key.startsWith(prefix) && key > after).sort()
    const page = all.slice(0, most)
    const contents = page.map((key) => {
      const { bytes, time, etag } = objects.get(key) ?? { bytes: '', time: 0, etag: '' }
      const date = new Date(time).toISOString()
      return `<Contents><Key>${escape(key)}</Key><LastModified>${date}</LastModified><ETag>${escape(etag)}</ETag><Size>${bytes.length}</Size></Contents>`
    })
    const truncated = all.length > page.length
    const next = truncated ? `<NextContinuationToken>${escape(page.at(-1) ?? '')}</NextContinuationToken>` : ''
    return xml(
      200,
      `<ListBucketResult><Name>${bucket}</Name>${contents.join('')}<IsTruncated>${truncated}</IsTruncated>${next}</ListBucketResult>`,
    )
  }

  function deleteAll(body: string): Answered {
    deleteKeys(Array.from(body.matchAll(/<Key>([^<]*)<\/Key>/g), ([, key = '']) => unescape(key)))
    return xml(200, '<DeleteResult></DeleteResult>')
  }

  function send(response: ServerResponse, answered: Answered): void {
    const body = Buffer.from(answered.body ?? '')
    head(response, answered, body.length)
    response.end(body)
  }

  function head(response: ServerResponse, { status, headers = {} }: Answered, length: number): void {
    response.sendDate = false
    const { skewMs } = server
    const date = skewMs === undefined ? {} : { date: new Date(Date.now() + skewMs).toUTCString() }
    response.writeHead(status, { ...date, 'content-length': String(length), ...headers })
  }

  return server
}

function refusal(status: number, code?: string): Answered {
  // A status without a code is a proxy's.
  return code === undefined
    ? { status, body: '<html>sorry</html>' }
    : xml(status, `<Error><Code>${code}</Code><Message>as told</Message></Error>`)
}

function xml(status: number, text: string): Answered {
  return {
    status,
    headers: { 'content-type': 'application/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?>\n${text}`,
  }
}

function hash(bytes: Buffer, encoding: 'hex' | 'base64'): string {
  return createHash('md5').update(bytes).digest(encoding)
}

function unescape(text: string): string {
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
  return text.replace(/&(?:#(\d+)|(\w+));/g, (_, code, name) => named[name] ?? String.fromCharCode(Number(code)))
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)
}
