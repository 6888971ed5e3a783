/** A binding of R2 in memory, for tests that make too many calls for the one of miniflare. */
import { createHash } from 'node:crypto'
import type { R2BodyLike, R2BucketLike, R2ObjectLike } from 'tidemark/r2'

export function bucketInMemory(): R2BucketLike {
  const objects = new Map<string, R2ObjectLike & { readonly bytes: Uint8Array }>()
  const withBody = (key: string, range?: { offset: number; length: number }): R2BodyLike | null => {
    const object = objects.get(key)
    if (object === undefined) return null
    const { offset, length } = range ?? { offset: 0, length: object.size }
    if (offset > object.size) throw new Error('The requested range is not satisfiable (10039)')
    const bytes = object.bytes.slice(offset, offset + length)
    return { ...object, arrayBuffer: () => Promise.resolve(bytes.buffer as ArrayBuffer) }
  }
  return {
    head: async (key) => withBody(key),
    get: async (key, options) => withBody(key, options?.range),
    async put(key, value, { onlyIf } = {}) {
      const before = objects.get(key)
      if (onlyIf?.etagDoesNotMatch !== undefined && before) return null
      if (onlyIf?.etagMatches !== undefined && before?.etag !== onlyIf.etagMatches) return null
      const etag = createHash('md5').update(value).digest('hex')
      const object = { key, size: value.length, etag, uploaded: new Date(), bytes: value.slice() }
      objects.set(key, object)
      return object
    },
    async delete(keys) {
      for (const key of [keys].flat()) objects.delete(key)
    },
    async list({ prefix = '', limit = 1_000, startAfter = '', cursor = startAfter } = {}) {
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > cursor).sort()
      const page = keys.slice(0, limit)
      const truncated = keys.length > page.length
      return {
        objects: page.map((key) => objects.get(key)!),
        truncated,
        ...(truncated ? { cursor: page.at(-1)! } : {}),
      }
    },
  }
}
