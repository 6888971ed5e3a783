/** Whether a body is the one that was stored: by its checksum or ETag where the reply has one, and by its length. */
import type { ByteRange } from '../../src/storage/contract.js'
import { crc32c } from '../../src/bytes/crc32c.js'
import { toHex } from '../../src/bytes/hex.js'
import { md5 } from './md5.js'
import type { S3Reply } from './transport.js'

export type BodyFault = 'length' | 'hash'

/** Says what is wrong with the body of a 200 or 206; `undefined` when nothing is. */
export function bodyFault(reply: S3Reply, range: ByteRange | undefined, etagIsMd5: boolean): BodyFault | undefined {
  const { body, status, header } = reply
  const length = header('content-length')
  // A proxy that packs bodies announces the packed length.
  const packed = (header('content-encoding') ?? 'identity') !== 'identity'
  if (length !== undefined && !packed && Number(length) !== body.length) return 'length'
  if (status === 206)
    return range !== undefined && isPart(header('content-range'), range, body.length) ? undefined : 'length'
  const checksum = header('x-amz-checksum-crc32c')
  // Composite checksums of parts end in their number.
  if (checksum !== undefined && !checksum.includes('-'))
    return checksum === base64(word(crc32c(body))) ? undefined : 'hash'
  const digest = etagIsMd5 && !isEncrypted(header) ? md5OfEtag(header('etag')) : undefined
  return digest !== undefined && digest !== toHex(md5(body)) ? 'hash' : undefined
}

export function contentMd5(bytes: Uint8Array): string {
  return base64(md5(bytes))
}

/** A reply without `Content-Range` can't be checked (CORS may hide it), but for being too long. */
function isPart(contentRange: string | undefined, { offset, length }: ByteRange, got: number): boolean {
  if (contentRange === undefined) return got <= length
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(contentRange)
  if (match === null) return false
  const [first, last] = [Number(match[1]), Number(match[2])]
  const end = match[3] === '*' ? Infinity : Number(match[3])
  return first === offset && last - first + 1 === got && (got === length || (got < length && last + 1 === end))
}

/** The ETag of an object that was put whole is its MD5, unless it is encrypted with a key of one's own. */
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
