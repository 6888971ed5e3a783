/**
 * The hash and the compression that all stored bytes go through. Beside `src/clock.ts` this file and `streams.ts` are those that
 * touch the platform's own. They look them up when they need them: Node makes its Compression Streams when they are first
 * named, and `nodeFs` lends something faster.
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
const streams = new Part(() => import('./streams.js'))

/** WebCrypto and Compression Streams. A page from an insecure origin has no WebCrypto, an old browser no raw deflate. */
const systemPlatform: Platform = {
  async sha256(bytes) {
    // Whoever opens a store hashes its entries, and soon unpacks blocks.
    streams.load().catch(() => undefined)
    const subtle = crypto?.subtle as SubtleCrypto | undefined
    return subtle
      ? new Uint8Array(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>))
      : pure.use(({ sha256 }) => sha256(bytes))
  },
  deflate: (bytes, level) => streams.use((part) => part.deflate(bytes, level)),
  inflate: (payload, length) => streams.use((part) => part.inflate(payload, length)),
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
