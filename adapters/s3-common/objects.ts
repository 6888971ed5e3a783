/**
 * Objects in an S3 bucket, over any transport.
 *
 * - One object is one PUT; there are no multipart uploads. Creates and swaps are PUTs with If-None-Match and If-Match.
 * - A status is not an outcome. Only 2xx with an ETag is `committed`, and only 412 is `lost`. A sure refusal is thrown. Any other
 *   answer to a conditional write, and none, is `unknown`: sending it again settles it.
 * - Tokens are ETags as they came, without the mark of a weak one, which proxies add.
 * - The only state is what was found out about the server: how it wants ETags, whether it deletes many objects at once.
 */
import { TidemarkError, aborted, isTidemarkError, throwIfAborted } from '../../src/errors.js'
import type { Answer, BlobInfo, ByteRange, CallOptions, Outcome, Storage } from '../../src/storage/contract.js'
import type { ObjectStore } from '../../src/storage/object-store.js'
import { overObjects } from '../../src/storage/objects.js'
import type { Turns } from '../../src/storage/turns.js'
import { bodyFault, contentMd5 } from './bodies.js'
import { redacted } from './redact.js'
import {
  describe,
  isAbsent,
  isDone,
  isRefused,
  isStored,
  readRefused,
  replyError,
  replyTime,
  unavailable,
} from './replies.js'
import type { S3Reply, S3Request, Transport } from './transport.js'

type Put = Extract<S3Request, { op: 'put' }>
type Written = Outcome & Answer

const MOST_DELETES_AT_ONCE = 8
/** Answers of a server that knows no deletion of many, or wants a checksum for it that the client does not send. */
const NO_DELETE_MANY = new Set([400, 404, 405, 411, 501])

/** Makes the storage. `prefix` is empty or ends with a slash, and keys are names of the storage behind it. */
export function s3Storage(transport: Transport, prefix: string, turns: () => Turns): Storage {
  const { name } = transport
  // Whether the server compares If-Match with the ETag without its quotes, as Ceph does.
  let bareEtags = false
  let deletesMany = true
  let etagIsMd5 = true

  /** Sends a request that may be repeated. All errors are thrown. */
  async function ask(request: S3Request, signal: AbortSignal | undefined): Promise<S3Reply> {
    throwIfAborted(signal)
    try {
      return await transport.send(request, signal)
    } catch (error) {
      if (signal?.aborted) throw aborted(signal)
      throw isTidemarkError(error) ? error : broken(request, error)
    }
  }

  /** The same for reads and lists, which a cache might answer with something older. */
  async function askStorage(request: S3Request, signal: AbortSignal | undefined): Promise<S3Reply> {
    const reply = await ask(request, signal)
    if (Number(reply.header('age') ?? 0) <= 0) return reply
    throw unavailable(
      `A cache answered ${describe(request)} in place of ${name}. Use the storage's own endpoint.`,
      true,
    )
  }

  /** Something between here and the storage answers in its name: a page to log in at, say. */
  function noEtag(request: S3Request): TidemarkError {
    return unavailable(
      `${name} sent no ETag with ${describe(request)}, as S3 does. Check what stands between; in a browser, let the bucket's CORS rules expose the ETag header.`,
      true,
    )
  }

  function broken(request: S3Request, error: unknown): TidemarkError {
    return unavailable(
      `${name} did not answer ${describe(request)}; check the connection to it.`,
      true,
      redacted(error),
    )
  }

  /** Sends a put with a condition. Once it has been sent it throws only a sure refusal. */
  async function conditional(request: Put, signal: AbortSignal | undefined): Promise<Written | S3Reply> {
    throwIfAborted(signal)
    let reply: S3Reply
    try {
      reply = await transport.send(request, signal)
    } catch (error) {
      if (isTidemarkError(error)) throw error
      return { outcome: 'unknown', settle: true, cause: broken(request, error) }
    }
    if (isStored(reply)) return { outcome: 'committed', time: replyTime(reply) }
    if (isDone(reply)) return { outcome: 'unknown', settle: true, cause: noEtag(request), time: replyTime(reply) }
    const absent = reply.status === 404 && reply.code !== 'NoSuchBucket'
    if (reply.status === 412 || (absent && request.ifMatch !== undefined)) return reply
    const error = replyError(name, request, reply)
    if (isRefused(reply)) throw error
    return { outcome: 'unknown', settle: true, cause: error, time: replyTime(reply) }
  }

  function putOf(key: string, bytes: Uint8Array): Put {
    return { op: 'put', key: prefix + key, bytes, md5: contentMd5(bytes) }
  }

  async function create(key: string, bytes: Uint8Array, options?: CallOptions): Promise<Written> {
    const end = await conditional({ ...putOf(key, bytes), ifNoneMatch: '*' }, options?.signal)
    return 'outcome' in end ? end : { outcome: 'lost', time: replyTime(end) }
  }

  async function swap(key: string, token: string, bytes: Uint8Array, options?: CallOptions): Promise<Written> {
    const send = (ifMatch: string): Promise<Written | S3Reply> =>
      conditional({ ...putOf(key, bytes), ifMatch }, options?.signal)
    const bare = token.replaceAll('"', '')
    const end = await send(bareEtags ? bare : token)
    if ('outcome' in end) return end
    if (end.status === 412 && (bareEtags || bare === token)) return { outcome: 'lost', time: replyTime(end) }
    // Was the condition not met, or not understood? It was not understood if the object with this token is there. And the
    // meaning of a 404 depends on whether there is an object after all.
    const current = await look(key, options)
    if (end.status === 404) {
      if (current !== 'unread' && current.token === undefined) return { outcome: 'lost', time: current.time }
      return { outcome: 'unknown', settle: true, cause: replyError(name, putOf(key, bytes), end) }
    }
    if (current === 'unread' || current.token !== token) return { outcome: 'lost', time: replyTime(end) }
    const again = await send(bare)
    if (!('outcome' in again)) return { outcome: 'lost', time: replyTime(again) }
    if (again.outcome === 'committed') bareEtags = true
    return again
  }

  /** Reads for a swap that was answered already, and so must not throw any more. */
  async function look(
    key: string,
    options?: CallOptions,
  ): Promise<(Answer & { token: string | undefined }) | 'unread'> {
    try {
      return await get(key, options)
    } catch {
      return 'unread'
    }
  }

  async function get(
    key: string,
    options: CallOptions & { readonly range?: ByteRange | undefined } = {},
  ): Promise<Answer & { bytes: Uint8Array | undefined; token: string | undefined }> {
    const { range, signal } = options
    // An empty range cannot be asked for. The byte beside it tells whether the object is there.
    const last = range && range.offset + Math.max(range.length, 1) - 1
    const request: S3Request = { op: 'get', key: prefix + key, range: range && `bytes=${range.offset}-${last}` }
    const asked = range && { offset: range.offset, length: Math.max(range.length, 1) }
    const reply = await wholeReply(request, asked, signal)
    const time = replyTime(reply)
    if (isAbsent(reply)) return { time, bytes: undefined, token: undefined }
    const token = reply.header('etag')?.replace(/^W\//, '')
    if (reply.status === 416 && range) return { time, bytes: new Uint8Array(0), token }
    if (token === undefined) throw noEtag(request)
    if (range === undefined) return { time, bytes: reply.body, token }
    // A server may ignore a range and send everything.
    const from = reply.status === 206 ? 0 : range.offset
    return { time, bytes: reply.body.slice(from, from + range.length), token }
  }

  /** Reads an object, and makes sure that its body is whole. */
  async function wholeReply(
    request: Extract<S3Request, { op: 'get' }>,
    range: ByteRange | undefined,
    signal: AbortSignal | undefined,
  ): Promise<S3Reply> {
    const reply = await readReply(request, range, signal)
    if (!isDone(reply) || bodyFault(reply, range, etagIsMd5) === undefined) return reply
    const again = await readReply(request, range, signal)
    const fault = isDone(again) ? bodyFault(again, range, etagIsMd5) : undefined
    if (fault === undefined) return again
    // The same bytes twice are no accident of the line, so the ETags of this storage are something else than hashes. Damage
    // from before an object was stored is found by the checksums in entries and segments.
    if (fault === 'hash' && sameBytes(reply.body, again.body) && reply.header('etag') === again.header('etag')) {
      etagIsMd5 = false
      return again
    }
    throw unavailable(`${name} sent a body that is cut or damaged with ${describe(request)}. Try again.`, true)
  }

  async function readReply(
    request: Extract<S3Request, { op: 'get' }>,
    range: ByteRange | undefined,
    signal: AbortSignal | undefined,
  ): Promise<S3Reply> {
    const reply = await askStorage(request, signal)
    if (isDone(reply) || isAbsent(reply) || (reply.status === 416 && range)) return reply
    if (reply.status === 403 && (reply.code ?? 'AccessDenied') === 'AccessDenied') {
      const list: S3Request = { op: 'list', prefix, after: undefined, limit: 1, continuation: undefined }
      throw readRefused(name, reply, isDone(await ask(list, signal)))
    }
    throw replyError(name, request, reply)
  }

  async function list(
    within: string,
    { after, limit, signal }: CallOptions & { after: string | undefined; limit: number },
  ): Promise<Answer & { items: BlobInfo[]; more: boolean }> {
    const items: BlobInfo[] = []
    for (let continuation: string | undefined; ;) {
      const from = after === undefined ? undefined : prefix + after
      const request: S3Request = { op: 'list', prefix: prefix + within, after: from, limit, continuation }
      const reply = await askStorage(request, signal)
      if (!isDone(reply)) throw replyError(name, request, reply)
      const { items: page, truncated, continuation: next } = reply.listed!
      let last = from ?? ''
      for (const { key, size, time } of page) {
        if (key <= last || !key.startsWith(request.prefix)) throw unordered(name)
        items.push({ name: key.slice(prefix.length), size, time })
        last = key
      }
      continuation = truncated ? next : undefined
      // A page without keys that says that more follow comes from servers that count what was deleted.
      if (items.length > 0 || continuation === undefined) {
        return { time: replyTime(reply), items, more: items.length > 0 && truncated }
      }
    }
  }

  async function remove(keys: readonly string[], { signal }: CallOptions = {}): Promise<Answer> {
    if (keys.length === 0) return {}
    const full = keys.map((key) => prefix + key)
    if (full.length > 1 && deletesMany) {
      const request: S3Request = { op: 'deleteMany', keys: full }
      const reply = await ask(request, signal)
      if (isDone(reply)) {
        const left = reply.failed?.find(({ code }) => code !== 'NoSuchKey')
        if (left === undefined) return { time: replyTime(reply) }
        throw replyError(name, { op: 'delete', key: left.key }, { ...reply, ...failedAs(left.code) })
      }
      if (reply.code === 'NoSuchBucket' || !NO_DELETE_MANY.has(reply.status)) throw replyError(name, request, reply)
      deletesMany = false
    }
    let answer: Answer = {}
    for (let i = 0; i < full.length; i += MOST_DELETES_AT_ONCE) {
      const some = full.slice(i, i + MOST_DELETES_AT_ONCE)
      answer = (await Promise.all(some.map((key) => removeOne(key, signal)))).at(-1) ?? answer
    }
    return answer
  }

  async function removeOne(key: string, signal: AbortSignal | undefined): Promise<Answer> {
    const request: S3Request = { op: 'delete', key }
    const reply = await ask(request, signal)
    if (!isDone(reply) && !isAbsent(reply)) throw replyError(name, request, reply)
    return { time: replyTime(reply) }
  }

  const objects: ObjectStore = {
    create: (key, bytes, _guard, options) => create(key, bytes, options),
    swap: (key, token, bytes, _trim, options) =>
      token === undefined ? create(key, bytes, options) : swap(key, token, bytes, options),
    async put(key, bytes, options) {
      const request = putOf(key, bytes)
      const reply = await ask(request, options?.signal)
      if (isStored(reply)) return { time: replyTime(reply) }
      throw isDone(reply) ? noEtag(request) : replyError(name, request, reply)
    },
    get,
    list,
    delete: remove,
  }
  return overObjects(objects, { name, trim: 'writer', turns })
}

/** The status that an error within the answer to a deletion of many would have had by itself. */
function failedAs(code: string): { status: number; code: string } {
  return { status: code === 'AccessDenied' ? 403 : 500, code }
}

function unordered(name: string): TidemarkError {
  return new TidemarkError(
    'STORAGE_UNSAFE',
    `${name} lists objects out of order, or others than it was asked for. Directory buckets do that; use a general purpose bucket.`,
  )
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
