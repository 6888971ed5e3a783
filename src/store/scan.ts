/** How an iteration begins, and where it goes on when a segment on its way turns out to be damaged. */
import { isPromise } from '../callback.js'
import { Part } from '../part.js'
import type { Bounds, Cursor } from '../segment/cursor.js'
import { holdMemtables, scan, type Held, type View } from '../engine/read.js'
import type { Slot } from '../engine/slot.js'
import type { Hold } from './holds.js'
import { PartitionsCursor, type Failed, type IterationSource } from './iteration.js'
import { slotRange, type KeyBounds } from './range.js'
import type { TableHost } from './table-host.js'

const goingOn = new Part(() => import('./go-on.js'))

export class Scans implements IterationSource {
  readonly #host: TableHost
  readonly #slots: readonly Slot[]
  readonly #bounds: readonly Bounds[]
  /** What the iteration shows, as of its first step; and what the memtables held then, slot by slot. */
  #view: View | undefined
  #held: readonly Held[] = []
  #hold: Hold | undefined
  /** It looks before it begins. */
  #fresh: boolean

  constructor(host: TableHost, slots: readonly Slot[], bounds: KeyBounds, reverse: boolean, fresh: boolean) {
    this.#fresh = fresh
    this.#host = host
    this.#slots = slots
    this.#bounds = slots.map((slot) => ({ ...slotRange(slot, bounds), reverse }))
  }

  /**
   * What is read on is held. Not so from the first step on: many iterations have no other, and for a grace period after it
   * everything is there anyway.
   */
  step(waiting?: Promise<unknown>): void {
    const state = this.#view?.state
    if (waiting === undefined) {
      this.#host.assertOpen()
      if (state) (this.#hold ??= this.#host.hold(state)).use()
    } else if (state) this.#host.hold(state, waiting)
  }

  end(): void {
    this.#hold?.release()
    this.#hold = undefined
  }

  start(failed?: Failed): Cursor | Promise<Cursor> {
    if (failed !== undefined) return this.#view ? this.#goOn(failed) : Promise.reject(failed.error as Error)
    if (this.#fresh) {
      this.#fresh = false
      return this.#host.catchUp().then(() => this.start())
    }
    const view = this.#host.view()
    this.#view = view
    // Scanning takes what the memtables hold now, in all partitions in this very turn.
    this.#noteReading()
    this.#held = this.#slots.map((slot, i) => holdMemtables(view, slot, this.#bounds[i]!))
    return this.#scan(view, this.#bounds, this.#held)
  }

  #noteReading(): void {
    this.#slots.forEach((slot, i) => this.#host.readSet?.range(slot, this.#bounds[i]!))
  }

  /** Goes on behind the last record. A scan may meet the next damage before it begins: it loads range deletes for that. */
  async #goOn(failed: Failed): Promise<Cursor> {
    const { viewAfter, rest } = await goingOn.load()
    const { last } = failed
    for (let { error } = failed; ;) {
      const view = await viewAfter(this.#host, this.#view!, { error, last }, () => this.#noteReading())
      this.end()
      // Only the newest memtables may be let go by now: what they held is at hand.
      this.#view = view
      const { bounds, held } = rest(this.#slots, this.#bounds, this.#held, last)
      try {
        return await this.#scan(view, bounds, held)
      } catch (next) {
        error = next
      }
    }
  }

  #scan(view: View, bounds: readonly Bounds[], held: readonly Held[]): Cursor | Promise<Cursor> {
    const cursors = this.#slots.map((slot, i) => scan(view, slot, bounds[i]!, held[i]))
    if (cursors.length === 1) return cursors[0]!
    const prefixLength = this.#slots[0]!.prefix.length
    const { reverse } = bounds[0]!
    return cursors.some((cursor) => isPromise(cursor))
      ? Promise.all(cursors.map(async (cursor) => cursor)).then(
          (all) => new PartitionsCursor(all, prefixLength, reverse),
        )
      : new PartitionsCursor(cursors as Cursor[], prefixLength, reverse)
  }
}
