/**
 * A collection: what an entry condemns, and what earlier ones condemned and nobody has deleted yet (docs/format.md,
 * "Collections"). Whoever appends after it has seen it, and names nothing of it any more; what it lists is deleted a grace
 * period later. Ids are listed one by one, so that nobody has to judge the age of an upload.
 */
import { ByteReader } from '../bytes/reader.js'
import { ByteWriter } from '../bytes/writer.js'
import { ID_BYTES } from './entry.js'

export interface Batch {
  /** When it was condemned, by the header of its entry. */
  readonly time: number
  /** Entries up to here are deleted with it. */
  readonly trim: number
  /** Ids of segments. */
  readonly ids: readonly Uint8Array[]
}

/** Oldest first; the last one is of the entry itself. */
export type Collection = readonly Batch[]

export function encodeCollection(collection: Collection): Uint8Array {
  const w = new ByteWriter(64)
  w.varint(collection.length)
  for (const { time, trim, ids } of collection) {
    w.varint(time)
    w.varint(trim)
    w.varint(ids.length)
    for (const id of ids) w.raw(id)
  }
  return w.finish()
}

export function decodeCollection(bytes: Uint8Array, what: string): Collection {
  const r = new ByteReader(bytes, what)
  const collection = Array.from({ length: r.count(3) }, (): Batch => {
    const [time, trim] = [r.varint(), r.varint()]
    return { time, trim, ids: Array.from({ length: r.count(ID_BYTES) }, () => r.raw(ID_BYTES)) }
  })
  r.end()
  return collection
}
