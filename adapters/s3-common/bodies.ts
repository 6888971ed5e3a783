/** Judges whether a body is the one that was stored, by its length, and by its checksum or ETag where the reply has one. */
import type { ByteRange } from '../../src/storage/contract.js'
import { crc32 } from '../../src/bytes/crc32.js'
import { toHex } from '../../src/bytes/hex.js'
import { md5 } from './md5.js'
import type { S3Reply } from './transport.js'

export type BodyFault = 'length' | 'hash'

/** The fault of the body of a 200 or 206; `undefined` when there is none. */
export function bodyFault(reply: S3Reply, range: ByteRange | undefined, etagIsMd5: boolean): BodyFault | undefined {
  const { body, status, header } = reply
  const length = header('content-length')
  // A proxy that packs bodies tells the packed length.
  const packed = (header('content-encoding') ?? 'identity') !== 'identity'
  if (length !== undefined && !packed && Number(length) !== body.length) return 'length'
  if (status === 206)
    return range !== undefined && isPart(header('content-range'), range, body.length) ? undefined : 'length'
  const checksum = header('x-amz-checksum-crc32')
  // A checksum with a dash is composed of those of parts.
  if (checksum !== undefined && !checksum.includes('-'))
    return checksum === base64(word(crc32(body))) ? undefined : 'hash'
  const digest = etagIsMd5 && !isEncrypted(header) ? md5OfEtag(header('etag')) : undefined
  return digest !== undefined && digest !== toHex(md5(body)) ? 'hash' : undefined
}

export function contentMd5(bytes: Uint8Array): string {
  return base64(md5(bytes))
}

/** Whether the body is that of the range. Without `Content-Range`, which CORS may hide, only a body that is too long shows. */
function isPart(contentRange: string | undefined, { offset, length }: ByteRange, got: number): boolean {
  if (contentRange === undefined) return got <= length
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(contentRange)
  if (match === null) return false
  const [first, last] = [Number(match[1]), Number(match[2])]
  const end = match[3] === '*' ? Infinity : Number(match[3])
  return first === offset && last - first + 1 === got && (got === length || (got < length && last + 1 === end))
}

/** The MD5 of an object by its ETag. That is its MD5 if it was put whole, and not encrypted with a key of the customer's. */
function md5OfEtag(etag: string | undefined): string | undefined {
  return /^(?:W\/)?"?([0-9a-f]{32})"?$/i.exec(etag ?? '')?.[1]?.toLowerCase()
}

function isEncrypted(header: S3Reply['header']): boolean {
  return (
    header('x-amz-server-side-encryption')?.startsWith('aws:') === true ||
    header('x-amz-server-side-encryption-customer-algorithm') !== undefined
  )
}

function word(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}
