import { isMap, isPlainObject, isSet } from '../bytes/kinds.js'

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
    if (isMap(next)) for (const pair of next) pending.push(...(pair as [unknown, unknown]))
    else if (isSet(next)) for (const element of next) pending.push(element)
    else if (Array.isArray(next) || isPlainObject(next)) {
      Object.freeze(next)
      for (const element of Object.values(next)) pending.push(element)
    }
  }
  return value
}
