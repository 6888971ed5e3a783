/**
 * Objects in an S3 bucket, over any transport.
 *
 * - One object is one PUT; there are no multipart uploads. Creates and swaps are PUTs with If-None-Match and If-Match.
 * - A status is not an outcome. Only 2xx with an ETag is `committed`, and only 412 is `lost`. A sure refusal is thrown. Any other
 *   answer to a conditional write, and none, is `unknown`: sending it again settles it.
 * - Tokens are ETags as they came, without the mark of a weak one, which proxies add.
 * - The only state is what was found out about the server: how it wants ETags, whether it deletes many objects at once.
 */
import { aborted, isTidemarkError, throwIfAborted, type TidemarkError } from '../../src/errors.js'
import { Part } from '../../src/part.js'
import type { Answer, ByteRange, CallOptions, Outcome, Storage } from '../../src/storage/contract.js'
import type { ObjectStore } from '../../src/storage/object-store.js'
import { overObjects } from '../../src/storage/objects.js'
import type { Turns } from '../../src/storage/turns.js'
import { bodyFault, contentMd5 } from './bodies.js'
import { isAbsent, isDone, isRefused, isStored, replyTime, tokenOf } from './replies.js'
import type { Bucket, S3Reply, S3Request, Transport } from './transport.js'

type Put = Extract<S3Request, { op: 'put' }>
type Written = Outcome & Answer

const refusals = new Part(() => import('./refusals.js'))
const many = new Part(() => import('./many.js'))

/** An error by its sentence. It never rejects, as a write that was sent must not throw: a sentence that could not be loaded is an error itself. */
function errorOf(make: (part: typeof import('./refusals.js')) => TidemarkError): Promise<TidemarkError> {
  return refusals.use(make).catch((error: TidemarkError) => error)
}

/** Makes the storage. `prefix` is empty or ends with a slash, and keys are names of the storage behind it. */
export function s3Storage(transport: Transport, prefix: string, turns: () => Turns): Storage {
  const { name } = transport
  // Whether the server compares If-Match with the ETag without its quotes, as Ceph does.
  let bareEtags = false
  let etagIsMd5 = true

  /** Sends a request that may be repeated. All errors are thrown. */
  async function ask(request: S3Request, signal: AbortSignal | undefined): Promise<S3Reply> {
    throwIfAborted(signal)
    try {
      return await transport.send(request, signal)
    } catch (error) {
      if (signal?.aborted) throw aborted(signal)
      throw isTidemarkError(error) ? error : await errorOf((part) => part.unanswered(name, request, error))
    }
  }

  /** The same for reads and lists, which a cache might answer with something older. */
  async function askStorage(request: S3Request, signal: AbortSignal | undefined): Promise<S3Reply> {
    const reply = await ask(request, signal)
    if (Number(reply.header('age') ?? 0) <= 0) return reply
    throw await errorOf((part) => part.fromCache(name, request))
  }

  /** Sends a put with a condition. Once it has been sent it throws only a sure refusal. */
  async function conditional(request: Put, signal: AbortSignal | undefined): Promise<Written | S3Reply> {
    throwIfAborted(signal)
    let reply: S3Reply
    try {
      reply = await transport.send(request, signal)
    } catch (error) {
      if (isTidemarkError(error)) throw error
      return { outcome: 'unknown', settle: true, cause: await errorOf((part) => part.unanswered(name, request, error)) }
    }
    const time = replyTime(reply)
    if (isStored(reply)) return { outcome: 'committed', token: tokenOf(reply), time }
    const absent = reply.status === 404 && reply.code !== 'NoSuchBucket'
    if (reply.status === 412 || (absent && request.ifMatch !== undefined)) return reply
    const error = await putError(request, reply)
    if (!isDone(reply) && isRefused(reply)) throw error
    return { outcome: 'unknown', settle: true, cause: error, time }
  }

  /** The error for a reply that does not say that the put was served. */
  function putError(request: Put, reply: S3Reply): Promise<TidemarkError> {
    return errorOf((part) => (isDone(reply) ? part.noEtag(name, request) : part.replyError(name, request, reply)))
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
      return { outcome: 'unknown', settle: true, cause: await putError(putOf(key, bytes), end) }
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
    const token = tokenOf(reply)
    if (reply.status === 416 && range) return { time, bytes: new Uint8Array(0), token }
    if (token === undefined) throw await errorOf((part) => part.noEtag(name, request))
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
    throw await errorOf((part) => part.damagedBody(name, request))
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
      const mayList = isDone(await ask(list, signal))
      throw await errorOf((part) => part.readRefused(name, reply, mayList))
    }
    throw await errorOf((part) => part.replyError(name, request, reply))
  }

  const bucket: Bucket = { name, prefix, ask, askStorage, deletesMany: true }
  const objects: ObjectStore = {
    create: (key, bytes, _guard, options) => create(key, bytes, options),
    swap: (key, token, bytes, _trim, options) =>
      token === undefined ? create(key, bytes, options) : swap(key, token, bytes, options),
    async put(key, bytes, options) {
      const request = putOf(key, bytes)
      const reply = await ask(request, options?.signal)
      if (isStored(reply)) return { time: replyTime(reply) }
      throw await putError(request, reply)
    },
    get,
    list: (within, options) => many.use((part) => part.list(bucket, within, options)),
    delete: (keys, options) => many.use((part) => part.remove(bucket, keys, options)),
  }
  return overObjects(objects, { name, trim: 'writer', isRemote: true, turns })
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
