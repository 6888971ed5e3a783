/** Negative, zero or positive as `a` sorts before, with or after `b`; unsigned bytes, a prefix first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = a.length < b.length ? a.length : b.length
  for (let i = 0; i < n; i++) {
    const d = a[i]! - b[i]!
    if (d !== 0) return d
  }
  return a.length - b.length
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0
}

/** The smallest byte string above every one that begins with `prefix`; `undefined` when there is none. */
export function afterPrefix(prefix: Uint8Array): Uint8Array | undefined {
  let end = prefix.length
  while (end > 0 && prefix[end - 1] === 0xff) end--
  if (end === 0) return undefined
  const bound = prefix.slice(0, end)
  bound[end - 1]!++
  return bound
}

/** How many of `length` sorted things lie in front: `isInFront` holds for the first so many and for none after them. */
export function countInFront(length: number, isInFront: (i: number) => boolean): number {
  let lo = 0
  let hi = length
  while (lo < hi) {
    const mid = (lo + hi) >>> 1
    if (isInFront(mid)) lo = mid + 1
    else hi = mid
  }
  return lo
}
