/**
 * Loads pieces of segments and keeps the most recently used of them within a byte budget. Segments are immutable and their
 * names are never reused, so nothing in here can be stale.
 */
import { singleFlight } from '../async.js'
import type { Blobs, Storage } from '../storage/contract.js'
import { platformOf, type Platform } from '../storage/platform.js'
import { Part } from '../part.js'
import type { Block } from './block.js'
import type { SegmentPlace } from './damage.js'
import type { SegmentIndex } from './index.js'

/** Reads pieces: the first read of a segment needs it. */
export const reading = new Part(() => import('./pieces.js'))

/** Where cursors get the pieces of segments from: at once when they are in memory, else by loading. */
export interface SegmentPieces {
  index(place: SegmentPlace): SegmentIndex | undefined
  block(place: SegmentPlace, number: number): Block | undefined
  /** The same, read in this very turn, where the storage can do that. */
  blockNow?(place: SegmentPlace, index: SegmentIndex, number: number): Block | undefined
  loadIndex(place: SegmentPlace, filter: boolean): Promise<SegmentIndex>
  loadBlock(place: SegmentPlace, index: SegmentIndex, number: number): Promise<Block>
  /** Keeps a decoded value with its block, if the block keeps values and there is room. */
  keepValue?(block: Block, number: number, value: unknown, weight: number): void
}

type Value = Block | SegmentIndex | Uint8Array
/** A block by its number, or another piece. */
type PieceId = number | 'index' | 'filter'
/** The pieces of one segment. */
type Pieces = Map<PieceId, Piece>

interface Piece {
  readonly value: Value
  readonly weight: number
  /** The name of the segment. */
  readonly name: string
  readonly id: PieceId
  /** Somebody has used it since it was last asked whether it may go. */
  isUsed: boolean
}

export class SegmentCache implements SegmentPieces {
  readonly #blobs: Blobs
  readonly platform: Platform
  readonly #capacity: number
  readonly #segments = new Map<string, Pieces>()
  /**
   * Those that may go, in the order in which they are asked: what was used since it was last asked stays, and is asked again after
   * all others (the CLOCK algorithm). So a use moves nothing.
   */
  readonly #asked = new Set<Piece>()
  /** Callers that want the same piece at once share one request. */
  readonly #once = singleFlight()
  /** That of the pieces that may go, and of the values that blocks keep. */
  #weight = 0
  /** How many bytes of the capacity others take. */
  #lent = 0
  hits = 0
  misses = 0

  constructor(storage: Storage, capacity: number) {
    this.#blobs = storage.blobs
    this.platform = platformOf(storage)
    this.#capacity = capacity
  }

  index(place: SegmentPlace): SegmentIndex | undefined {
    return this.#peek(place, 'index') as SegmentIndex | undefined
  }

  filter(place: SegmentPlace): Uint8Array | undefined {
    return this.#peek(place, 'filter') as Uint8Array | undefined
  }

  block(place: SegmentPlace, number: number): Block | undefined {
    return this.#peek(place, number) as Block | undefined
  }

  blockNow(place: SegmentPlace, { blocks }: SegmentIndex, number: number): Block | undefined {
    const block = reading.loaded?.readBlockNow(this.#blobs, this.platform, place, blocks[number]!)
    if (block) this.#keep(place.name, number, block, block.weight)
    return block
  }

  keepValue({ kept }: Block, number: number, value: unknown, weight: number): void {
    if (kept === undefined || this.#weight + this.#lent + weight > this.#capacity) return
    this.#weight += weight
    kept.taken += weight
    kept.values[number] = value
  }

  /** Lends so many bytes of the capacity, in place of those that it lent before. */
  lend(bytes: number): void {
    this.#lent = bytes
    this.#trim()
  }

  #peek({ name }: SegmentPlace, id: PieceId): Value | undefined {
    const piece = this.#segments.get(name)?.get(id)
    if (piece === undefined) {
      this.misses++
      return undefined
    }
    this.hits++
    piece.isUsed = true
    return piece.value
  }

  /** Loads the index, and with `filter` the bloom filter by the same request. */
  loadIndex(place: SegmentPlace, filter: boolean): Promise<SegmentIndex> {
    const { name, indexLength } = place
    return this.#once(`${name}#index${filter ? '+' : ''}`, async () => {
      const read = await reading.use((part) => part.readIndex(this.#blobs, place, filter))
      this.#keep(name, 'index', read.index, indexLength * 4)
      if (read.filter) this.#keep(name, 'filter', read.filter, read.filter.length)
      return read.index
    })
  }

  loadBlock(place: SegmentPlace, { blocks }: SegmentIndex, number: number): Promise<Block> {
    const { name } = place
    return this.#once(`${name}#${number}`, async () => {
      const block = await reading.use((part) => part.readBlock(this.#blobs, this.platform, place, blocks[number]!))
      this.#keep(name, number, block, block.weight)
      return block
    })
  }

  #keep(name: string, id: PieceId, value: Value, weight: number): void {
    const before = this.#segments.get(name)?.get(id)
    // It was read before the segment came to stay whole.
    if (before && !this.#asked.has(before)) return
    const piece = this.#set(name, id, value, weight)
    this.#asked.add(piece)
    this.#weight += weight
    this.#trim()
  }

  /** Lets go of what was not used lately, until what is left is within the budget. */
  #trim(): void {
    for (const asked of this.#asked) {
      if (this.#weight + this.#lent <= this.#capacity) return
      this.#asked.delete(asked)
      if (asked.isUsed) {
        asked.isUsed = false
        // To decode values again is quicker than to load a block again.
        this.#forgetValues(asked)
        this.#asked.add(asked)
      } else {
        this.#forget(asked)
        const pieces = this.#segments.get(asked.name)!
        pieces.delete(asked.id)
        if (pieces.size === 0) this.#segments.delete(asked.name)
      }
    }
  }

  #set(name: string, id: PieceId, value: Value, weight: number): Piece {
    let pieces = this.#segments.get(name)
    if (pieces === undefined) this.#segments.set(name, (pieces = new Map<PieceId, Piece>()))
    this.#forget(pieces.get(id))
    const piece: Piece = { value, weight, name, id, isUsed: false }
    pieces.set(id, piece)
    return piece
  }

  #forget(piece: Piece | undefined): void {
    if (piece === undefined) return
    this.#asked.delete(piece)
    this.#weight -= piece.weight
    this.#forgetValues(piece)
  }

  #forgetValues({ value }: Piece): void {
    const block = value as Partial<Block>
    if (block.kept === undefined) return
    this.#weight -= block.kept.taken
    block.kept = undefined
  }

  /** Keeps all pieces of a segment, whatever the budget, until they are dropped. */
  keepWhole(name: string, pieces: readonly (readonly [PieceId, Value])[]): void {
    for (const [id, value] of pieces) this.#set(name, id, value, 0)
  }

  /** The segments of which something is in memory. */
  get names(): Iterable<string> {
    return this.#segments.keys()
  }

  /** Lets go of all pieces of a segment. */
  drop(name: string): void {
    for (const piece of this.#segments.get(name)?.values() ?? []) this.#forget(piece)
    this.#segments.delete(name)
  }
}
