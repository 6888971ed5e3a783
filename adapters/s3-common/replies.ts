/** Judges a reply: whether the request was served, may have been, or surely was not. */
import type { S3Reply } from './transport.js'

/** The time of the storage: when it answered, to the second. */
export function replyTime({ header }: S3Reply): number | undefined {
  const time = Date.parse(header('date') ?? '')
  return Number.isNaN(time) ? undefined : time
}

export function isDone({ status }: S3Reply): boolean {
  return status >= 200 && status < 300
}

/** A put was served. S3 says so with an ETag; what answers in its place does not. */
export function isStored(reply: S3Reply): boolean {
  return isDone(reply) && reply.header('etag') !== undefined
}

/** The ETag as it came, without the mark of a weak one, which proxies add. */
export function tokenOf({ header }: S3Reply): string | undefined {
  return header('etag')?.replace(/^W\//, '')
}

/** The bucket is there and the object is not. A 404 that is not S3's own says nothing about objects. */
export function isAbsent({ status, code }: S3Reply): boolean {
  return status === 404 && code === 'NoSuchKey'
}

/**
 * Whether the request was surely not served: S3 looked at it and refused. A server error, a time-out, a conflict or an
 * answer of something in between leaves open what became of it.
 */
export function isRefused({ status, code }: S3Reply): boolean {
  if (status === 408 || status === 409 || status === 429 || code === 'RequestTimeout' || code === 'SlowDown')
    return false
  if (isRedirect(status) || isUnable({ status, code })) return true
  if (status === 404) return code === 'NoSuchBucket'
  return isFull(status, code) || (status >= 400 && status < 500)
}

export function isRedirect(status: number): boolean {
  return status >= 300 && status < 400 && status !== 304
}

export function isUnable({ status, code }: Pick<S3Reply, 'status' | 'code'>): boolean {
  return status === 501 || code === 'NotImplemented'
}

export function isFull(status: number, code: string | undefined): boolean {
  return status === 507 || code === 'QuotaExceeded' || code === 'InsufficientStorage' || code === 'XMinioStorageFull'
}
