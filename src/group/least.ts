/** The choice of the least, and the hash that decides between equals. */
import { FNV_START, fnvStep, mix32 } from '../bytes/hash.js'

/** The element with the lowest rank, of those that may; of equals the first. */
export function least<T>(
  list: Iterable<T>,
  rank: (element: T) => number,
  may?: (element: T) => boolean,
): T | undefined {
  let best: T | undefined
  let lowest = Infinity
  for (const element of list) {
    if (may && !may(element)) continue
    const is = rank(element)
    if (best !== undefined && is >= lowest) continue
    best = element
    lowest = is
  }
  return best
}

export function hashOf(id: string): number {
  let h = FNV_START
  for (let i = 0; i < id.length; i++) h = fnvStep(h, id.charCodeAt(i))
  return mix32(h)
}
