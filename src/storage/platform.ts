/**
 * The hash and the compression that all stored bytes go through. Beside `src/clock.ts` this is the file that touches the
 * platform's own. It looks them up when it needs them: Node makes its Compression Streams when they are first named, and
 * `nodeFs` lends something faster.
 */
import { HASH_BYTES } from '../bytes/hash.js'
import { isPromise } from '../callback.js'
import { damaged, isTidemarkError } from '../errors.js'
import { Part } from '../part.js'

/** Each call may answer at once, where that is faster than to be waited for. */
export interface Platform {
  /** SHA-256, 32 bytes. */
  sha256(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
  /** Raw deflate. The level, from 1 to 9, counts where the platform has levels. */
  deflate(bytes: Uint8Array, level: number): Uint8Array | Promise<Uint8Array>
  /** Undoes raw deflate. It fails unless exactly `length` bytes come out; more than that it never allocates. */
  inflate(payload: Uint8Array, length: number): Uint8Array | Promise<Uint8Array>
}

const pure = new Part(() => import('../bytes/pure.js'))

/** WebCrypto and Compression Streams. A page from an insecure origin has no WebCrypto, an old browser no raw deflate. */
const systemPlatform: Platform = {
  async sha256(bytes) {
    const subtle = crypto?.subtle as SubtleCrypto | undefined
    return subtle
      ? new Uint8Array(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>))
      : pure.use(({ sha256 }) => sha256(bytes))
  },
  async deflate(bytes, level) {
    let stream: CompressionStream
    try {
      stream = new CompressionStream('deflate-raw')
    } catch {
      return pure.use(({ deflate }) => deflate(bytes, level))
    }
    // Bytes that would become more stay as they are.
    return (await through(stream, bytes, bytes.length)) ?? bytes
  },
  async inflate(payload, length) {
    let stream: DecompressionStream
    try {
      stream = new DecompressionStream('deflate-raw')
    } catch {
      return pure.use(({ inflate }) => inflate(payload, length))
    }
    const raw = await through(stream, payload, length)
    if (raw?.length !== length) throw new Error(`It inflates to ${raw?.length ?? 'more'} bytes.`)
    return raw
  },
}

/** The bytes that a stream makes of `payload`; `undefined` when they are more than `most`. */
async function through(
  stream: CompressionStream | DecompressionStream,
  payload: Uint8Array,
  most: number,
): Promise<Uint8Array | undefined> {
  const writer = stream.writable.getWriter()
  // Where writing fails, reading does, too.
  for (const written of [writer.write(payload as Uint8Array<ArrayBuffer>), writer.close()])
    written.catch(() => undefined)
  const reader = stream.readable.getReader()
  const all = new Uint8Array(most)
  let at = 0
  for (;;) {
    const { value } = await reader.read()
    if (value === undefined) break
    if (at + value.length > most) {
      reader.cancel().catch(() => undefined)
      return undefined
    }
    all.set(value, at)
    at += value.length
  }
  return all.subarray(0, at)
}

/** The hash and compression that the storage lends, else those of the platform. */
export function platformOf({
  capabilities,
}: {
  readonly capabilities: { readonly platform?: Partial<Platform> | undefined }
}): Platform {
  const { platform } = capabilities
  return platform ? { ...systemPlatform, ...platform } : systemPlatform
}

/** Undoes raw deflate. Throws `CORRUPT` unless exactly `length` bytes come out. */
export function inflated(
  platform: Platform,
  payload: Uint8Array,
  length: number,
  what: string,
): Uint8Array | Promise<Uint8Array> {
  const failed = (error: unknown): never => {
    // That it could not be tried says nothing of the bytes.
    throw isTidemarkError(error) ? error : damaged(what, `it does not inflate to ${length} bytes`, error)
  }
  try {
    const raw = platform.inflate(payload, length)
    return isPromise(raw) ? raw.catch(failed) : raw
  } catch (error) {
    return failed(error)
  }
}

/** SHA-256 cut to its first 16 bytes: names content (segments, entries, the parent of an entry). */
export async function contentHash(platform: Platform, bytes: Uint8Array): Promise<Uint8Array> {
  return (await platform.sha256(bytes)).slice(0, HASH_BYTES)
}
