/** Compression Streams, and what stands in for them in an old browser that has no raw deflate. */
import { Part } from '../part.js'

const pure = new Part(() => import('../bytes/pure.js'))

export async function deflate(bytes: Uint8Array, level: number): Promise<Uint8Array> {
  let stream: CompressionStream
  try {
    stream = new CompressionStream('deflate-raw')
  } catch {
    return pure.use((part) => part.deflate(bytes, level))
  }
  // Bytes that would become more stay as they are.
  return (await through(stream, bytes, bytes.length)) ?? bytes
}

export async function inflate(payload: Uint8Array, length: number): Promise<Uint8Array> {
  let stream: DecompressionStream
  try {
    stream = new DecompressionStream('deflate-raw')
  } catch {
    return pure.use((part) => part.inflate(payload, length))
  }
  const raw = await through(stream, payload, length)
  if (raw?.length !== length) throw new Error(`It inflates to ${raw?.length ?? 'more'} bytes.`)
  return raw
}

/** The bytes that a stream makes of `payload`; `undefined` when they are more than `most`. */
async function through(
  stream: CompressionStream | DecompressionStream,
  payload: Uint8Array,
  most: number,
): Promise<Uint8Array | undefined> {
  const writer = stream.writable.getWriter()
  // Where writing fails, reading does, too.
  Promise.all([writer.write(payload as Uint8Array<ArrayBuffer>), writer.close()]).catch(() => undefined)
  const reader = stream.readable.getReader()
  let all: Uint8Array | undefined
  let at = 0
  for (;;) {
    const { value } = await reader.read()
    if (value === undefined) break
    if (at + value.length > most) {
      reader.cancel().catch(() => undefined)
      return undefined
    }
    // Mostly the first piece is all of it.
    if (value.length === most) all = value
    else (all ??= new Uint8Array(most)).set(value, at)
    at += value.length
  }
  return all?.subarray(0, at) ?? new Uint8Array(0)
}
