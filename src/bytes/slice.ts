/** A part of a larger buffer: to keep it so takes less memory, and less time to make, than an array of its own. */
export interface Slice {
  readonly buffer: Uint8Array
  readonly from: number
  readonly to: number
}

export function sliceOf(bytes: Uint8Array): Slice {
  return { buffer: bytes, from: 0, to: bytes.length }
}

export function bytesOf({ buffer, from, to }: Slice): Uint8Array {
  return buffer.subarray(from, to)
}
