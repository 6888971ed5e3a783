import { compareBytes } from '../bytes/compare.js'

/** `text`: the bytes as text, if it is known already. */
export type Decode = (bytes: Uint8Array, text?: string) => unknown

/** The record of a key in a segment, as every read passes it on. */
export interface StoredRecord {
  /** The encoded value; `undefined` for a tombstone: the key was deleted here. */
  readonly bytes: Uint8Array | undefined
  /** When the value expires, in milliseconds since the epoch; 0: never. */
  readonly expires: number
  /**
   * The decoded value, where it may be known from another reader. `isShared`: all readers may have the same one. By default
   * it is decoded from the bytes.
   */
  value?(decode: Decode, isShared: boolean): unknown
}

/** A record with its key: in segments the slot's prefix and the key's bytes. */
export interface KeyedRecord extends StoredRecord {
  readonly key: Uint8Array
}

/** Deletes every key from `lower` on and below `upper`. */
export interface KeyRange {
  readonly lower: Uint8Array
  readonly upper: Uint8Array
}

/** All stored keys: partitions have numbers below 4,096. */
export const EVERYTHING: KeyRange = { lower: new Uint8Array(0), upper: Uint8Array.of(0xff, 0xff, 0xff) }

export function isWithin(key: Uint8Array, { lower, upper }: KeyRange): boolean {
  return compareBytes(lower, key) <= 0 && compareBytes(key, upper) < 0
}

/** Where the keys of a partition begin: its number in two bytes, big-endian. */
export function partitionPrefix(partition: number): Uint8Array {
  return Uint8Array.of(partition >>> 8, partition)
}
