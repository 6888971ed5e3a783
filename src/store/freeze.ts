import { kindOf } from '../bytes/kinds.js'

/**
 * Freezes a value and all plain objects and arrays in it, so that whoever changes what belongs to the store finds out. The
 * elements of Maps and Sets are frozen; these themselves, typed arrays and instances of classes cannot be, or are left alone.
 */
export function deepFreeze<T>(value: T): T {
  const pending: unknown[] = [value]
  const known = new Set<object>()
  while (pending.length > 0) {
    const next = pending.pop()
    if (typeof next !== 'object' || next === null || known.has(next)) continue
    known.add(next)
    const kind = kindOf(next)
    if (kind === 'Map') for (const pair of next as Map<unknown, unknown>) pending.push(...pair)
    else if (kind === 'Set') for (const element of next as Set<unknown>) pending.push(element)
    else if (isPlain(next)) {
      Object.freeze(next)
      for (const element of Object.values(next)) pending.push(element)
    }
  }
  return value
}

/** An array, an object literal, or what has no prototype; no instance of a class. */
function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  // Every realm has its own Object.prototype, and only that has none above it.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
