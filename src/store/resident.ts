/**
 * Residency: everything that is committed is in memory, so that `getSync` always answers. Segments are read whole and checked
 * before a state that lists them is used; what this handle writes itself is taken over as it is written.
 */
import type { CodedRuns, Manifest, SegmentRef, SegmentSource } from '../manifest/manifest.js'
import { keepResident } from '../segment/resident.js'
import { checkWhole } from '../segment/whole.js'
import type { ShardContext } from '../engine/context.js'
import { segmentsOf, type ShardState } from '../engine/state.js'

/** How many segments are read at once, at most: opening waits for one round trip then. The storage may serve fewer. */
const PARALLEL = 32
/** How long to unpack before other tasks get their turn, in milliseconds. */
const SLICE_MS = 8

type ResidentContext = Pick<ShardContext, 'cache' | 'storage' | 'clock' | 'held' | 'graceMs'>

export class Residency {
  readonly #ctx: ResidentContext
  readonly #loaded = new Map<string, SegmentRef>()
  /** Loaded for a state that is not in use yet. */
  readonly #fresh = new Set<string>()
  /** The segments of the state in use: others are let go. */
  #listed: ReadonlyMap<string, SegmentRef> = new Map()
  #manifest: Manifest | undefined
  #references: readonly CodedRuns[] = []

  constructor(ctx: ResidentContext) {
    this.#ctx = ctx
  }

  /** Loads what the state needs; it may be used when this resolves. */
  async prepare(state: SegmentSource): Promise<void> {
    const missing = [...byName(segmentsOf(state)).values()].filter(({ name }) => !this.#loaded.has(name))
    const adopted: SegmentRef[] = []
    const { cache, storage } = this.#ctx
    let next = 0
    const work = async (): Promise<void> => {
      try {
        for (let segment = missing[next++]; segment !== undefined; segment = missing[next++]) {
          const { bytes } = await storage.blobs.get(segment.name)
          await this.adopt(segment, await checkWhole(cache.platform, bytes, segment))
          adopted.push(segment)
        }
      } catch (error) {
        // The others begin no more.
        next = missing.length
        throw error
      }
    }
    const ends = await Promise.allSettled(Array.from({ length: PARALLEL }, work))
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed === undefined) return
    // The state will not be used, and perhaps no later one lists them.
    this.release(adopted)
    throw failed.reason
  }

  /** Takes a segment over whose bytes are known to be right. */
  async adopt(segment: SegmentRef, bytes: Uint8Array): Promise<void> {
    const { cache, clock } = this.#ctx
    let sliceEnd = clock.monotonic() + SLICE_MS
    await keepResident(cache, segment, bytes, () => {
      if (clock.monotonic() < sliceEnd) return undefined
      return clock.pause().then(() => {
        sliceEnd = clock.monotonic() + SLICE_MS
      })
    })
    this.#loaded.set(segment.name, segment)
    this.#fresh.add(segment.name)
  }

  /** Segments that were written for a state that will not come: those that no state in use lists are let go. */
  release(segments: Iterable<{ readonly name: string }>): void {
    for (const { name } of segments) this.#fresh.delete(name)
    this.sweep()
  }

  releaseOthers(loaded: SegmentSource, used: SegmentSource | undefined): void {
    const names = byName(used ? segmentsOf(used) : [])
    this.release(segmentsOf(loaded).filter(({ name }) => !names.has(name)))
  }

  /** Nothing is being written any more: what no state in use lists is let go. */
  releaseAll(): void {
    this.#fresh.clear()
    this.sweep()
  }

  /** The state is in use: lets go of what it does not need. */
  use(state: ShardState): void {
    const references = state.tail.flatMap((entry) => entry.references ?? [])
    const isSame =
      references.length === this.#references.length && references.every((r, i) => r === this.#references[i])
    if (isSame && state.manifest === this.#manifest) return
    this.#manifest = state.manifest
    this.#references = references
    this.#listed = byName(segmentsOf(state))
    for (const name of this.#listed.keys()) this.#fresh.delete(name)
    this.sweep()
  }

  /** Lets go of what no state in use lists, unless somebody reads. */
  sweep(): void {
    const { cache, clock, held, graceMs } = this.#ctx
    const used = clock.monotonic() - graceMs
    for (const { usedAt } of held) if (usedAt > used) return
    for (const [name, segment] of this.#loaded) {
      if (this.#listed.has(name) || this.#fresh.has(name)) continue
      cache.drop(segment.name)
      this.#loaded.delete(name)
    }
  }
}

function byName(segments: readonly SegmentRef[]): Map<string, SegmentRef> {
  return new Map(segments.map((segment) => [segment.name, segment]))
}
