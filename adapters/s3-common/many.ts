/** Lists and deletions, which neither opening nor reading nor committing asks for. */
import type { Answer, BlobInfo, CallOptions } from '../../src/storage/contract.js'
import { replyError, unordered } from './refusals.js'
import { isAbsent, isDone, replyTime } from './replies.js'
import type { Bucket, S3Request } from './transport.js'

const MOST_DELETES_AT_ONCE = 8
/** Answers of a server that knows no deletion of many, or wants a checksum for it that the client does not send. */
const NO_DELETE_MANY = new Set([400, 404, 405, 411, 501])

export async function list(
  { name, prefix, askStorage }: Bucket,
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

export async function remove(bucket: Bucket, keys: readonly string[], { signal }: CallOptions = {}): Promise<Answer> {
  const { name, prefix, ask } = bucket
  if (keys.length === 0) return {}
  const full = keys.map((key) => prefix + key)
  if (full.length > 1 && bucket.deletesMany) {
    const request: S3Request = { op: 'deleteMany', keys: full }
    const reply = await ask(request, signal)
    if (isDone(reply)) {
      const left = reply.failed?.find(({ code }) => code !== 'NoSuchKey')
      if (left === undefined) return { time: replyTime(reply) }
      throw replyError(name, { op: 'delete', key: left.key }, { ...reply, ...failedAs(left.code) })
    }
    if (reply.code === 'NoSuchBucket' || !NO_DELETE_MANY.has(reply.status)) throw replyError(name, request, reply)
    bucket.deletesMany = false
  }
  let answer: Answer = {}
  for (let i = 0; i < full.length; i += MOST_DELETES_AT_ONCE) {
    const some = full.slice(i, i + MOST_DELETES_AT_ONCE)
    answer = (await Promise.all(some.map((key) => removeOne(bucket, key, signal)))).at(-1) ?? answer
  }
  return answer
}

async function removeOne({ name, ask }: Bucket, key: string, signal: AbortSignal | undefined): Promise<Answer> {
  const request: S3Request = { op: 'delete', key }
  const reply = await ask(request, signal)
  if (!isDone(reply) && !isAbsent(reply)) throw replyError(name, request, reply)
  return { time: replyTime(reply) }
}

/** The status that an error within the answer to a deletion of many would have had by itself. */
function failedAs(code: string): { status: number; code: string } {
  return { status: code === 'AccessDenied' ? 403 : 500, code }
}
