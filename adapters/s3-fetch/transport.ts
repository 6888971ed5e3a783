/** Sends requests by `fetch`: makes paths and queries, and reads XML. */
import type { S3Reply, S3Request, Transport } from '../s3-common/transport.js'
import { contentMd5 } from '../s3-common/bodies.js'
import { Part } from '../../src/part.js'

const xml = new Part(() => import('./xml.js'))

/** The part of `fetch` that is used. It has to sign the request, and to send it once. */
export type SigningFetch = (url: string, init: SigningInit) => Promise<FetchedResponse>

/** A request, as `fetch` takes it. */
export interface SigningInit {
  /** The method of HTTP. */
  readonly method: string
  /** The headers. The signature comes to them. */
  readonly headers: Record<string, string>
  /** Redirections are not followed: a signature is for one URL. */
  readonly redirect: 'manual'
  /** The bytes to send. */
  readonly body?: Uint8Array<ArrayBuffer>
  /** Ends the request. */
  readonly signal?: AbortSignal
  /** Keeps reads from the cache of a browser. */
  readonly cache?: 'no-store'
}

/** The part of a `Response` that is used. */
export interface FetchedResponse {
  /** The status of HTTP. */
  readonly status: number
  /** Whether a redirection was followed all the same. */
  readonly redirected?: boolean
  /** The headers of the answer. */
  readonly headers: { get(name: string): string | null }
  /** The body of the answer. */
  arrayBuffer(): Promise<ArrayBuffer>
}

export function fetchTransport(fetch: SigningFetch, bucket: string): Transport {
  async function send(request: S3Request, signal: AbortSignal | undefined): Promise<S3Reply> {
    const { path, ...init } = await requestOf(request)
    const response = await fetch(bucket + path, {
      ...init,
      redirect: 'manual',
      ...(signal ? { signal } : {}),
      // The cache of a browser would answer with an object as it was before.
      ...(init.method === 'GET' && hasCacheOption() ? { cache: 'no-store' } : {}),
    })
    if (!isResponse(response)) throw new TypeError('What fetch returned is no Response.')
    return replyOf(request, response)
  }
  return { name: 's3-fetch', send }
}

function isResponse(given: Partial<FetchedResponse> | null | undefined): given is FetchedResponse {
  const { status, headers, arrayBuffer } = given ?? {}
  return typeof status === 'number' && typeof headers?.get === 'function' && typeof arrayBuffer === 'function'
}

type Prepared = Pick<SigningInit, 'method' | 'headers' | 'body'> & { readonly path: string }

async function requestOf(request: S3Request): Promise<Prepared> {
  switch (request.op) {
    case 'get':
      return {
        method: 'GET',
        path: pathOf(request.key),
        headers: request.range === undefined ? {} : { range: request.range },
      }
    case 'put': {
      const { bytes, md5, ifMatch, ifNoneMatch } = request
      const headers: Record<string, string> = { 'content-type': 'application/octet-stream', 'content-md5': md5 }
      if (ifMatch !== undefined) headers['if-match'] = ifMatch
      if (ifNoneMatch !== undefined) headers['if-none-match'] = ifNoneMatch
      return { method: 'PUT', path: pathOf(request.key), headers, body: plain(bytes) }
    }
    case 'delete':
      return { method: 'DELETE', path: pathOf(request.key), headers: {} }
    case 'deleteMany': {
      const body = plain(await xml.use((part) => part.deleteBody(request.keys)))
      const headers = { 'content-type': 'application/xml', 'content-md5': contentMd5(body) }
      return { method: 'POST', path: '?delete=', headers, body }
    }
    case 'list': {
      const query = [
        ['list-type', '2'],
        ['prefix', request.prefix],
        ['max-keys', String(request.limit)],
        ['start-after', request.after],
        ['continuation-token', request.continuation],
      ].filter((pair): pair is [string, string] => pair[1] !== undefined)
      return { method: 'GET', path: `?${query.map(([k, v]) => `${k}=${encode(v)}`).join('&')}`, headers: {} }
    }
  }
}

async function replyOf(request: S3Request, response: FetchedResponse): Promise<S3Reply> {
  // Browsers say status 0 of a redirection that is not followed.
  const status = response.redirected || response.status === 0 ? 307 : response.status
  const header = (name: string): string | undefined => response.headers.get(name) ?? undefined
  const reply: S3Reply = { status, header, body: new Uint8Array(0) }
  const body = status === 204 ? reply.body : new Uint8Array(await response.arrayBuffer())
  if (status < 200 || status >= 300) return { ...reply, ...(await refusalOf(request, body)) }
  switch (request.op) {
    case 'get':
      return { ...reply, body }
    case 'list':
      return { ...reply, listed: await xml.use((part) => part.readListed(body)) }
    case 'deleteMany':
      return { ...reply, failed: await xml.use((part) => part.readDeleted(body)) }
    default:
      return reply
  }
}

/** Absent, as S3 says it of an object. Each open meets that once or more, and loads no parser for it. */
const ABSENT = /^(?:<\?xml[^>]*>)?\s*<Error><Code>NoSuchKey<\/Code>[^]*<\/Error>\s*$/

async function refusalOf(request: S3Request, body: Uint8Array): Promise<Pick<S3Reply, 'code' | 'message'>> {
  if (request.op === 'get' && ABSENT.test(new TextDecoder().decode(body))) return { code: 'NoSuchKey' }
  // The status was answered: it counts, whether or not it can be explained.
  return xml.use((part) => part.readError(body)).catch(() => ({}))
}

function pathOf(key: string): string {
  return `/${key.split('/').map(encode).join('/')}`
}

/** Encodes as S3 does for signatures: everything but letters, digits and `-._~`. */
function encode(part: string): string {
  return encodeURIComponent(part).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

function plain(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes)
}

/** Whether requests may have the option `cache`: older edge runtimes refuse it. */
function hasCacheOption(): boolean {
  return typeof Request === 'function' && 'cache' in Request.prototype
}
