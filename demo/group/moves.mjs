// @ts-check
/** Who has committed to each partition last: that shows when a shard has moved, and for how long nobody committed to it. */
import { PARTITIONS } from './source.mjs'

/** @typedef {{ member: string, shard: string, version: number, at: number }} Commit */

export class Moves {
  /** @type {(Commit | undefined)[]} */
  #last = Array(PARTITIONS).fill(undefined)
  #moved = 0
  /** @type {number[]} */
  #pauses = []

  /**
   * @param {string} member
   * @param {import('./fleet.mjs').Message} message
   */
  committed(member, { at, shard: { id, first, last }, version }) {
    const before = this.#last.slice(first, last + 1).filter((commit) => commit !== undefined)
    // Numbers rise for a partition, whoever owns it: a lower one was told late.
    if (before.some((commit) => commit.version >= version)) return
    const former = before.filter((commit) => commit.member !== member || commit.shard !== id)
    if (former.some((commit) => commit.member !== member)) this.#moved++
    if (former.length > 0) this.#pauses.push(at - Math.max(...former.map((commit) => commit.at)))
    this.#last.fill({ member, shard: id, version, at }, first, last + 1)
  }

  /** What has happened since it was asked last. */
  take() {
    const pauses = this.#pauses.toSorted((a, b) => a - b)
    const taken = { moved: this.#moved, median: pauses[pauses.length >> 1], longest: pauses.at(-1) }
    this.#moved = 0
    this.#pauses = []
    return taken
  }
}
