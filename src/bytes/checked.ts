import { crc32 } from './crc32.js'
import { damaged } from '../errors.js'

/** The bytes before a trailing CRC-32, once it has been checked. */
export function checked(bytes: Uint8Array, what: string): Uint8Array {
  if (bytes.length < 4) throw damaged(what, `only ${bytes.length} bytes are left of it`)
  const body = bytes.subarray(0, bytes.length - 4)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(body.length, true) !== crc32(body)) {
    throw damaged(what, 'its checksum does not match')
  }
  return body
}
