/** Only shared mode asks this, and it is loaded with it. */
import type { OffsetMap } from './offsets.js'

export function sameOffsets(a: OffsetMap, b: OffsetMap): boolean {
  if (a === b) return true
  const same = <T, U>(
    x: ReadonlyMap<T, U>,
    y: ReadonlyMap<T, U> | undefined,
    equal: (p: U, q: U | undefined) => boolean,
  ) => x.size === y?.size && [...x].every(([key, value]) => equal(value, y.get(key)))
  return same(a, b, (p, q) => same(p, q, (v, w) => v === w))
}
