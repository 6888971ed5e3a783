/** Judges a reply that is no success: which error it is, and whether the request may have been served all the same. */
import { TidemarkError, invalid } from '../../src/errors.js'
import { redact } from './redact.js'
import type { S3Reply, S3Request } from './transport.js'

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

/** The error for a reply that is no answer to the request. */
export function replyError(name: string, request: S3Request, reply: S3Reply): TidemarkError {
  const { status, code, message } = reply
  const said = [code, message].filter(Boolean).join(': ')
  const what = `${name} answered ${status}${said === '' ? '' : ` (${redact(said)})`} to ${describe(request)}`
  if (isRedirect(status)) {
    return unavailable(
      `${what}: it points to another host, where nothing is sent. Use the endpoint of the bucket's region.`,
    )
  }
  if (isUnable(reply)) return unable(`${what}. This release of the storage does not know that request.`)
  if (isFull(status, code)) return new TidemarkError('QUOTA', `${what}: no space is left for it.`)
  switch (code) {
    case 'NoSuchBucket':
      return invalid(`${what}. Create the bucket, or check its name.`)
    case 'RequestTimeTooSkewed':
      return unavailable(`${what}: the clock of this machine is wrong. Set it.`, true)
    case 'ExpiredToken':
    case 'TokenRefreshRequired':
      return unavailable(`${what}: the credentials have expired. Renew them.`, true)
    case 'BadDigest':
    case 'IncompleteBody':
    case 'XAmzContentSHA256Mismatch':
      return unavailable(`${what}: the bytes were damaged on their way. Try again.`, true)
    case 'SignatureDoesNotMatch':
    case 'InvalidAccessKeyId':
      return unavailable(`${what}. Check the access key, its secret and the region.`)
    default:
  }
  if (status === 401 || status === 403) {
    return unavailable(`${what}: the key lacks a permission. It needs ${PERMISSIONS[request.op]}.`)
  }
  if (status === 413 || code === 'EntityTooLarge')
    return invalid(`${what}: it is larger than this storage takes. Use smaller segments.`)
  if (status === 404 && !isAbsent(reply)) {
    return unavailable(
      `${what}. That is not what S3 says of an absent object. Check the endpoint, and try again.`,
      true,
    )
  }
  const passing = status === 404 || status === 408 || status === 409 || status === 429 || status >= 500
  return unavailable(
    `${what}. ${passing ? 'Try again later.' : 'Check how the storage and its client are set up.'}`,
    passing,
  )
}

/** A GET that was refused with 403: S3 says that of what is absent too, to a key that may not list. */
export function readRefused(name: string, reply: S3Reply, mayList: boolean): TidemarkError {
  const said = reply.code === undefined ? '' : ` (${redact(reply.code)})`
  return unavailable(
    mayList
      ? `${name} answered ${reply.status}${said} to a read: the key lacks the permission s3:GetObject on the objects.`
      : `${name} answered ${reply.status}${said} to a read: the key lacks the permission s3:ListBucket on the bucket, ` +
          'without which absent objects can not be told from forbidden ones.',
  )
}

/** Names what a request asked for, without anything that could be a secret. */
export function describe(request: S3Request): string {
  switch (request.op) {
    case 'get':
      return `a read of ${request.key}`
    case 'put':
      return `a write of ${request.key}`
    case 'list':
      return `a list of ${request.prefix === '' ? 'the bucket' : request.prefix}`
    case 'delete':
      return `a delete of ${request.key}`
    case 'deleteMany':
      return `a delete of ${request.keys.length} objects`
  }
}

export function unavailable(message: string, retryable = false, cause?: unknown): TidemarkError {
  return new TidemarkError('STORAGE_UNAVAILABLE', message, { retryable, cause })
}

const PERMISSIONS: Readonly<Record<S3Request['op'], string>> = {
  get: 's3:GetObject on the objects and s3:ListBucket on the bucket',
  put: 's3:PutObject on the objects',
  list: 's3:ListBucket on the bucket',
  delete: 's3:DeleteObject on the objects',
  deleteMany: 's3:DeleteObject on the objects',
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400 && status !== 304
}

function isUnable({ status, code }: Pick<S3Reply, 'status' | 'code'>): boolean {
  return status === 501 || code === 'NotImplemented'
}

function isFull(status: number, code: string | undefined): boolean {
  return status === 507 || code === 'QuotaExceeded' || code === 'InsufficientStorage' || code === 'XMinioStorageFull'
}

function unable(message: string): TidemarkError {
  return new TidemarkError(
    'STORAGE_UNSAFE',
    `${message} Tidemark stands on conditional writes; use a storage that has them.`,
  )
}
