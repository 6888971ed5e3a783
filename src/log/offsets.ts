/**
 * Offsets: the position from which each source is to be read next, committed in the same entry as the state that came of
 * reading up to there. A source has one position, or one per partition of its own.
 */
import { decodeKey } from '../bytes/keys.js'
import type { ByteReader } from '../bytes/reader.js'
import { setOwn } from '../bytes/codec.js'
import { kindOf } from '../bytes/kinds.js'
import { isWellFormed } from '../bytes/utf8.js'
import { invalid } from '../errors.js'

/** The position to read from next. Numbers and bigints never go back; strings are kept as they are. */
export type Position = number | bigint | string
/** As users give and get them: `{ clicks: 1042 }`, or `{ clicks: { 0: 520, 1: 522 } }`. */
export type Offsets = { readonly [source: string]: Position | { readonly [partition: string]: Position } }

/** By the partitions of a source, in ascending order; `undefined` stands for a source with one position. */
export type Positions = ReadonlyMap<number | undefined, Position>
export type OffsetMap = ReadonlyMap<string, Positions>

export const NO_OFFSETS: OffsetMap = new Map()

/** Checks what a caller gave. */
export function parseOffsets(given: Offsets): OffsetMap {
  const parsed = new Map<string, Map<number | undefined, Position>>()
  if (kindOf(given) !== 'Object') throw invalid('offsets: an object { source: position } is expected.')
  for (const source of Object.keys(given)) {
    if (!isWellFormed(source)) throw invalid('offsets: a name has a lone surrogate.')
    const at = given[source]!
    const positions = new Map<number | undefined, Position>()
    if (isPosition(at)) positions.set(undefined, at)
    else if (kindOf(at) === 'Object') {
      for (const partition of Object.keys(at)) {
        const position = at[partition]!
        if (!/^(0|[1-9]\d{0,8})$/.test(partition) || !isPosition(position)) throw badPosition(source)
        positions.set(Number(partition), position)
      }
    } else throw badPosition(source)
    parsed.set(source, positions)
  }
  return parsed
}

function badPosition(source: string): Error {
  return invalid(
    `offsets: source "${source}" needs a finite number, a bigint, a string of at most 16,384 characters or { partition: position }.`,
  )
}

function isPosition(value: unknown): value is Position {
  if (typeof value === 'string') return isWellFormed(value) && value.length <= 16_384
  return typeof value === 'bigint' || (typeof value === 'number' && Number.isFinite(value))
}

/** In the shape in which they were given. */
export function offsetsToObject(offsets: OffsetMap): Offsets {
  const all = {}
  for (const [source, positions] of offsets) {
    if (positions.has(undefined)) {
      setOwn(all, source, positions.get(undefined))
      continue
    }
    const each = {}
    for (const [partition, position] of positions) setOwn(each, String(partition), position)
    setOwn(all, source, each)
  }
  return all
}

export function readPositions(r: ByteReader): Positions {
  const positions = new Map<number | undefined, Position>()
  for (let left = r.count(2); left > 0; left--) {
    const partition = r.varint()
    const position = decodeKey(r.bytes())
    if (!isPosition(position)) return r.fail('no offset')
    positions.set(partition === 0 ? undefined : partition - 1, position)
  }
  return positions
}

export function readOffsets(r: ByteReader): OffsetMap {
  const offsets = new Map<string, Positions>()
  for (let sources = r.count(2); sources > 0; sources--) offsets.set(r.string(), readPositions(r))
  return offsets
}
