/**
 * How much memory a buffered change takes, about: text and bytes by their length, everything else by a constant. What is
 * large is met within a factor of two, and small values cost next to nothing to look at.
 */
import type { MapKey } from '../bytes/keys.js'
import { kindOf } from '../bytes/kinds.js'

/** What a change takes beside its key and value: places in Maps, the point. */
const CHANGE = 64
const LEAF = 8
const OBJECT = 32
/** How many characters of a text are looked at. */
const SAMPLES = 16
/** Objects of a value that are visited before it is checked that none is visited twice. */
const UNCHECKED = 1000

export function sizeOfChange(key: MapKey, value?: unknown): number {
  return CHANGE + sizeOf(key) + (value === undefined ? 0 : sizeOf(value))
}

function sizeOf(value: unknown): number {
  return typeof value === 'object' && value !== null ? sizeOfObject(value) : sizeOfLeaf(value)
}

function sizeOfLeaf(value: unknown): number {
  if (typeof value === 'string') return sizeOfText(value)
  return typeof value === 'bigint' ? sizeOfBigint(value) : LEAF
}

/** Bytes as UTF-8, by a sample of the characters. */
function sizeOfText(text: string): number {
  const step = Math.max(1, Math.floor(text.length / SAMPLES))
  let extra = 0
  let seen = 0
  for (let i = 0; i < text.length; i += step) {
    const unit = text.charCodeAt(i)
    seen++
    if (unit > 0x7f) extra += unit > 0x7ff ? 2 : 1
  }
  return extra === 0 ? text.length : Math.ceil(text.length * (1 + extra / seen))
}

function sizeOfBigint(value: bigint): number {
  return BigInt.asIntN(64, value) === value ? LEAF : value.toString(16).length / 2
}

function sizeOfObject(root: object): number {
  const pending: object[] = [root]
  let size = 0
  const add = (value: unknown): void => {
    if (typeof value === 'object' && value !== null) pending.push(value)
    else size += sizeOfLeaf(value)
  }
  let visited = 0
  let known: Set<object> | undefined
  try {
    for (let object = pending.pop(); object !== undefined; object = pending.pop()) {
      if (++visited > UNCHECKED) {
        known ??= new Set()
        if (known.has(object)) continue
        known.add(object)
      }
      size += OBJECT
      const { byteLength } = object as { readonly byteLength?: unknown }
      if (typeof byteLength === 'number') size += byteLength
      else if (/^(Array|Map|Set)$/.test(kindOf(object))) {
        for (const element of object as Iterable<unknown>) add(element)
      } else {
        for (const name of Object.keys(object)) {
          size += name.length
          add((object as Record<string, unknown>)[name])
        }
      }
    }
  } catch {
    // A getter that throws throws again when the value is encoded, and there it is told.
  }
  return size
}
