/** The choice of the least, and the hashes that decide between equals. */
import { FNV_START, fnvStep, mix32 } from '../bytes/hash.js'

/**
 * The element with the lowest score; among equals the one that `compare` puts first, as `sort` would. `may` says which elements
 * count; all by default. Scores are asked once: this is where a decision spends its time.
 */
export function least<T>(
  list: readonly T[],
  score: (element: T) => number,
  compare: (a: T, b: T) => number,
  may?: (element: T) => boolean,
): T | undefined {
  let best: T | undefined
  let lowest = Infinity
  for (const element of list) {
    const is = score(element)
    if (is > lowest || (may && !may(element))) continue
    if (best !== undefined && is === lowest && compare(element, best) >= 0) continue
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

/** A number that two things have together, as good as random: so equals are not all given the same. */
export function tie(a: { readonly hash: number }, b: { readonly hash: number }): number {
  return mix32(a.hash ^ Math.imul(b.hash, 0x9e3779b1))
}
