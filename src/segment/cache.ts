/**
 * Loads pieces of segments and keeps the most recently used of them within a byte budget. Segments are immutable and their
 * names are never reused, so nothing in here can be stale.
 */
import { singleFlight } from '../async.js'
import { damaged } from '../errors.js'
import type { Blobs, Storage } from '../storage/contract.js'
import { platformOf, type Platform } from '../storage/platform.js'
import { ENVELOPE_TAIL } from '../bytes/envelope.js'
import { Block } from './block.js'
import { checked } from '../bytes/checked.js'
import { inSegment, missingSegment, type SegmentPlace } from './damage.js'
import { decodeIndex, type SegmentIndex } from './index.js'

/** Where cursors get the pieces of segments from: at once when they are in memory, else by loading. */
export interface SegmentPieces {
  index(place: SegmentPlace): SegmentIndex | undefined
  block(place: SegmentPlace, number: number): Block | undefined
  loadIndex(place: SegmentPlace, filter: boolean): Promise<SegmentIndex>
  loadBlock(place: SegmentPlace, index: SegmentIndex, number: number): Promise<Block>
}

interface Piece {
  readonly value: Block | SegmentIndex | Uint8Array
  readonly weight: number
}

export class SegmentCache implements SegmentPieces {
  readonly #blobs: Blobs
  readonly platform: Platform
  readonly #capacity: number
  // A Map keeps insertion order: the first key is the least recently used.
  readonly #pieces = new Map<string, Piece>()
  /** Callers that want the same piece at once share one request. */
  readonly #once = singleFlight()
  /** Pieces of segments that stay whole in memory, beside the budget (resident.ts). */
  readonly resident = new Map<string, Piece['value']>()
  #weight = 0
  hits = 0
  misses = 0

  constructor(storage: Storage, capacity: number) {
    this.#blobs = storage.blobs
    this.platform = platformOf(storage)
    this.#capacity = capacity
  }

  index(place: SegmentPlace): SegmentIndex | undefined {
    return this.#peek(`${place.name}#index`) as SegmentIndex | undefined
  }

  filter(place: SegmentPlace): Uint8Array | undefined {
    return this.#peek(`${place.name}#filter`) as Uint8Array | undefined
  }

  block(place: SegmentPlace, number: number): Block | undefined {
    return this.#peek(`${place.name}#${number}`) as Block | undefined
  }

  #peek(key: string): Piece['value'] | undefined {
    const resident = this.resident.get(key)
    if (resident !== undefined) {
      this.hits++
      return resident
    }
    const piece = this.#pieces.get(key)
    if (piece === undefined) {
      this.misses++
      return undefined
    }
    this.hits++
    this.#pieces.delete(key)
    this.#pieces.set(key, piece)
    return piece.value
  }

  /** Loads the index, and with `filter` the bloom filter by the same request. */
  loadIndex(place: SegmentPlace, filter: boolean): Promise<SegmentIndex> {
    const { name, indexLength, filterLength } = place
    const at = place.length - ENVELOPE_TAIL - filterLength - indexLength
    return this.#once(`${name}#index${filter ? '+' : ''}`, async () => {
      const bytes = await this.#range(place, at, indexLength + (filter ? filterLength : 0))
      const index = await indexOf(place, bytes.subarray(0, indexLength), at)
      this.#keep(`${name}#index`, { value: index, weight: indexLength * 4 })
      if (filter) {
        const bits = await inSegment(place, () => checked(bytes.subarray(indexLength), `Segment ${name}`))
        this.#keep(`${name}#filter`, { value: bits, weight: bits.length })
      }
      return index
    })
  }

  loadBlock(place: SegmentPlace, index: SegmentIndex, number: number): Promise<Block> {
    const { offset, length, rawLength } = index.blocks[number]!
    const key = `${place.name}#${number}`
    return this.#once(key, async () => {
      const bytes = await this.#range(place, offset, length)
      const block = await inSegment(place, () => Block.unpack(this.platform, bytes, rawLength, `Segment ${place.name}`))
      this.#keep(key, { value: block, weight: block.weight })
      return block
    })
  }

  async #range(place: SegmentPlace, offset: number, length: number): Promise<Uint8Array> {
    const { bytes } = await this.#blobs.get(place.name, { range: { offset, length } })
    if (bytes === undefined) throw missingSegment(place)
    return inSegment(place, () => {
      if (bytes.length === length) return bytes
      throw damaged(`Segment ${place.name}`, `it ends before byte ${offset + length}`)
    })
  }

  #keep(key: string, piece: Piece): void {
    const before = this.#pieces.get(key)
    if (before) this.#weight -= before.weight
    this.#pieces.delete(key)
    this.#pieces.set(key, piece)
    this.#weight += piece.weight
    for (const [oldest, { weight }] of this.#pieces) {
      if (this.#weight <= this.#capacity) return
      this.#pieces.delete(oldest)
      this.#weight -= weight
    }
  }
}

export function indexOf(place: SegmentPlace, bytes: Uint8Array, at: number): Promise<SegmentIndex> {
  return inSegment(place, () => decodeIndex(bytes, at, `Segment ${place.name}`))
}
