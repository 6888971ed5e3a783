/** Offsets of a commit laid over those before it. It is loaded with the first write. */
import { invalid } from '../errors.js'
import type { OffsetMap } from './offsets.js'

/**
 * `committed` with `next` laid over it. Throws `INVALID_ARGUMENT` when a position would go back, or a source would change
 * between one position and several, unless `force`.
 */
export function mergeOffsets(committed: OffsetMap, next: OffsetMap, force: boolean): OffsetMap {
  if (next.size === 0) return committed
  const merged = new Map(committed)
  for (const [source, positions] of next) {
    const before = committed.get(source)
    let after = new Map(before)
    if (before && before.size > 0 && positions.size > 0 && before.has(undefined) !== positions.has(undefined)) {
      if (!force) {
        throw invalid(
          `offsets: source "${source}" has ${before.has(undefined) ? 'one position' : 'a position per partition'}; give it so.`,
        )
      }
      after = new Map()
    }
    for (const [partition, position] of positions) {
      const old = before?.get(partition)
      if (!force && old !== undefined && typeof old !== 'string' && typeof position !== 'string' && position < old) {
        const name = partition === undefined ? `"${source}"` : `"${source}", partition ${partition},`
        throw invalid(`offsets: source ${name} is at ${old}; back to ${position} needs { force: true }.`)
      }
      after.set(partition, position)
    }
    merged.set(source, new Map([...after].sort(([a], [b]) => (a ?? -1) - (b ?? -1))))
  }
  return merged
}
