/**
 * The errors for what went wrong, in sentences that say what to do. They are loaded with the first one: all that goes well,
 * and that an object is absent, is judged without them.
 */
import { TidemarkError, invalid } from '../../src/errors.js'
import { redact, redacted } from './redact.js'
import { isAbsent, isFull, isRedirect, isUnable } from './replies.js'
import type { S3Reply, S3Request } from './transport.js'

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

/** There was no answer, or none that could be read. */
export function unanswered(name: string, request: S3Request, error: unknown): TidemarkError {
  return unavailable(`${name} did not answer ${describe(request)}; check the connection to it.`, true, redacted(error))
}

/** Something between here and the storage answers in its name: a page to log in at, say. */
export function noEtag(name: string, request: S3Request): TidemarkError {
  return unavailable(
    `${name} sent no ETag with ${describe(request)}, as S3 does. Check what stands between; in a browser, let the bucket's CORS rules expose the ETag header.`,
    true,
  )
}

export function fromCache(name: string, request: S3Request): TidemarkError {
  return unavailable(`A cache answered ${describe(request)} in place of ${name}. Use the storage's own endpoint.`, true)
}

export function damagedBody(name: string, request: S3Request): TidemarkError {
  return unavailable(`${name} sent a body that is cut or damaged with ${describe(request)}. Try again.`, true)
}

export function unordered(name: string): TidemarkError {
  return new TidemarkError(
    'STORAGE_UNSAFE',
    `${name} lists objects out of order, or others than it was asked for. Directory buckets do that; use a general purpose bucket.`,
  )
}

/** Names what a request asked for, without anything that could be a secret. */
function describe(request: S3Request): string {
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

function unavailable(message: string, retryable = false, cause?: unknown): TidemarkError {
  return new TidemarkError('STORAGE_UNAVAILABLE', message, { retryable, cause })
}

const PERMISSIONS: Readonly<Record<S3Request['op'], string>> = {
  get: 's3:GetObject on the objects and s3:ListBucket on the bucket',
  put: 's3:PutObject on the objects',
  list: 's3:ListBucket on the bucket',
  delete: 's3:DeleteObject on the objects',
  deleteMany: 's3:DeleteObject on the objects',
}

function unable(message: string): TidemarkError {
  return new TidemarkError(
    'STORAGE_UNSAFE',
    `${message} Tidemark stands on conditional writes; use a storage that has them.`,
  )
}
