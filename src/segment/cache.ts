/**
 * Loads parts of segments and keeps the most recently used of them within a byte budget. Segments are immutable and their
 * names are never reused, so nothing in here can be stale.
 */
import { damaged } from '../errors.js'
import type { Blobs, Storage } from '../storage/contract.js'
import { platformOf, type Platform } from '../storage/platform.js'
import { ENVELOPE_TAIL } from '../bytes/envelope.js'
import { Block } from './block.js'
import { checked } from '../bytes/checked.js'
import { inSegment, missingSegment, type SegmentPlace } from './damage.js'
import { decodeIndex, type SegmentIndex } from './index.js'

/** Where cursors get the parts of segments from: at once when they are in memory, else by loading. */
export interface SegmentParts {
  index(place: SegmentPlace): SegmentIndex | undefined
  block(place: SegmentPlace, number: number): Block | undefined
  loadIndex(place: SegmentPlace, filter: boolean): Promise<SegmentIndex>
  loadBlock(place: SegmentPlace, index: SegmentIndex, number: number): Promise<Block>
}

interface Part {
  readonly value: Block | SegmentIndex | Uint8Array
  readonly weight: number
}

export class SegmentCache implements SegmentParts {
  readonly #blobs: Blobs
  readonly platform: Platform
  readonly #capacity: number
  // A Map keeps insertion order: the first key is the least recently used.
  readonly #parts = new Map<string, Part>()
  readonly #loading = new Map<string, Promise<void>>()
  /** Parts of segments that are held whole, beside the budget (hold.ts). */
  readonly held = new Map<string, Part['value']>()
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

  #peek(key: string): Part['value'] | undefined {
    const held = this.held.size > 0 ? this.held.get(key) : undefined
    if (held !== undefined) {
      this.hits++
      return held
    }
    const part = this.#parts.get(key)
    if (part === undefined) {
      this.misses++
      return undefined
    }
    this.hits++
    this.#parts.delete(key)
    this.#parts.set(key, part)
    return part.value
  }

  /** Loads the index, and with `filter` the bloom filter by the same request. */
  async loadIndex(place: SegmentPlace, filter: boolean): Promise<SegmentIndex> {
    const at = place.length - ENVELOPE_TAIL - place.filterLength - place.indexLength
    const length = place.indexLength + (filter ? place.filterLength : 0)
    await this.#once(`${place.name}#index${filter ? '+' : ''}`, async () => {
      const bytes = await this.#range(place, at, length)
      const index = await indexOf(place, bytes.subarray(0, place.indexLength), at)
      this.#keep(`${place.name}#index`, { value: index, weight: place.indexLength * 4 })
      if (!filter) return
      const bits = await inSegment(place, () => checked(bytes.subarray(place.indexLength), `Segment ${place.name}`))
      this.#keep(`${place.name}#filter`, { value: bits, weight: bits.length })
    })
    // An index larger than the whole budget is gone again at once; then it is read for this caller alone.
    return this.index(place) ?? indexOf(place, await this.#range(place, at, place.indexLength), at)
  }

  async loadBlock(place: SegmentPlace, index: SegmentIndex, number: number): Promise<Block> {
    const { offset, length, rawLength } = index.blocks[number]!
    let block: Block | undefined
    const load = async (): Promise<void> => {
      const bytes = await this.#range(place, offset, length)
      const unpacked = await inSegment(place, () =>
        Block.unpack(this.platform, bytes, rawLength, `Segment ${place.name}`),
      )
      block = unpacked
      this.#keep(`${place.name}#${number}`, { value: unpacked, weight: unpacked.weight })
    }
    await this.#once(`${place.name}#${number}`, load)
    block ??= this.block(place, number)
    if (block === undefined) await load()
    return block!
  }

  async #range(place: SegmentPlace, offset: number, length: number): Promise<Uint8Array> {
    const { bytes } = await this.#blobs.get(place.name, { range: { offset, length } })
    if (bytes === undefined) throw missingSegment(place)
    return inSegment(place, () => {
      if (bytes.length === length) return bytes
      throw damaged(`Segment ${place.name}`, `it ends before byte ${offset + length}`)
    })
  }

  /** Callers that want the same part at once share one request. */
  #once(key: string, load: () => Promise<void>): Promise<void> {
    let running = this.#loading.get(key)
    if (running === undefined) {
      running = load().finally(() => this.#loading.delete(key))
      this.#loading.set(key, running)
    }
    return running
  }

  #keep(key: string, part: Part): void {
    const before = this.#parts.get(key)
    if (before) this.#weight -= before.weight
    this.#parts.delete(key)
    this.#parts.set(key, part)
    this.#weight += part.weight
    for (const [oldest, { weight }] of this.#parts) {
      if (this.#weight <= this.#capacity) return
      this.#parts.delete(oldest)
      this.#weight -= weight
    }
  }
}

export function indexOf(place: SegmentPlace, bytes: Uint8Array, at: number): Promise<SegmentIndex> {
  return inSegment(place, () => decodeIndex(bytes, at, `Segment ${place.name}`))
}
