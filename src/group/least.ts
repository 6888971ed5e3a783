/** The choice of the least by several keys, and the hashes that decide between equals. */
import { FNV_START, fnvStep, mix32 } from '../bytes/hash.js'

/**
 * The element that is least by the first key, among equals by the second, and so on; of those that are equal in all, the first.
 * A key is asked only where those before it do not decide.
 */
export function least<T>(list: Iterable<T>, ...keys: readonly ((element: T) => number)[]): T | undefined {
  let best: T | undefined
  const known: number[] = []
  for (const element of list) {
    if (best === undefined) {
      best = element
      continue
    }
    for (let i = 0; i < keys.length; i++) {
      const is = keys[i]!(element)
      const was = (known[i] ??= keys[i]!(best))
      if (is === was) continue
      if (is < was) {
        best = element
        known.length = i
        known.push(is)
      }
      break
    }
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
