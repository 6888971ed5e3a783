/** Writes a delta (delta.ts has its form). It is loaded with the first write. */
import { writeMapKey, type MapKey } from '../bytes/keys.js'
import type { Slice } from '../bytes/slice.js'
import { ByteWriter } from '../bytes/writer.js'
import { DELETE, PLAIN, PUT, PUT_EXPIRING, RANGE } from './delta.js'

/** Writes a delta as it comes, group by group. */
export class DeltaWriter {
  readonly #w: ByteWriter

  /** `size`: about how many bytes it will be. */
  constructor(groups: number, size: number) {
    this.#w = new ByteWriter(size)
    this.#w.varint(PLAIN)
    this.#w.varint(groups)
  }

  /** So many changes of one table in one partition follow. */
  group(partition: number, table: Uint8Array, codec: string, changes: number): void {
    this.#w.varint(partition)
    this.#w.bytes(table)
    this.#w.string(codec)
    this.#w.varint(changes)
  }

  put(key: MapKey, value: Slice, expires: number): void {
    this.#w.u8(expires === 0 ? PUT : PUT_EXPIRING)
    writeMapKey(this.#w, key, true)
    if (expires !== 0) this.#w.varint(expires)
    this.#w.slice(value)
  }

  delete(key: MapKey): void {
    this.#w.u8(DELETE)
    writeMapKey(this.#w, key, true)
  }

  range(lower: Uint8Array, upper: Uint8Array): void {
    this.#w.u8(RANGE)
    this.#w.bytes(lower)
    this.#w.bytes(upper)
  }

  finish(): Uint8Array {
    return this.#w.finish()
  }
}
