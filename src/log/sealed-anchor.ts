/**
 * What the anchor of a sealed log says besides (docs/format.md, "Anchor"). It stands before anything of the log is removed, every swap keeps
 * it, and it stays until the store is destroyed: whoever looks for the log is led on to what follows on it (S6).
 */
import { ByteReader } from '../bytes/reader.js'
import { ByteWriter } from '../bytes/writer.js'
import { decodeCollection, encodeCollection, type Collection } from './collection.js'
import { readChild, readSeal, type Child, type Seal } from './shard-parts.js'
import { writeChild, writeSeal } from './write-shard-parts.js'

export interface SealedEnd {
  /** The number of the seal, the last entry that counts. */
  readonly n: number
  readonly seal: Seal
  /** From this version on all are kept; above `n` when none is (S8). */
  readonly keeps: number
  /** What is condemned. A batch that trims up to the seal is of all entries. */
  readonly collection: Collection
  /** In the root: the logs that were not sealed when somebody last looked, by their partitions. Only a hint. */
  readonly living: readonly Child[]
}

export function encodeSealedEnd({ n, seal, keeps, collection, living }: SealedEnd): Uint8Array {
  const w = new ByteWriter(256)
  w.varint(n)
  writeSeal(w, seal)
  w.varint(keeps)
  w.bytes(encodeCollection(collection))
  w.varint(living.length)
  for (const child of living) writeChild(w, child)
  return w.finish()
}

export function decodeSealedEnd(bytes: Uint8Array, what: string): SealedEnd {
  const r = new ByteReader(bytes, what)
  const [n, seal, keeps] = [r.varint(), readSeal(r), r.varint()]
  const collection = decodeCollection(r.bytes(), `The collection in ${what}`)
  const living = Array.from({ length: r.count(18) }, () => readChild(r))
  r.end()
  return { n, seal, keeps, collection, living }
}
