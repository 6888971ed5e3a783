/**
 * Tells what kind of thing a value is, whatever realm made it: a frame, a vm context, the sandbox of a test runner. `instanceof`
 * knows the classes of its own realm only.
 */
import { invalid } from '../errors.js'

/**
 * `Uint8Array`, `Date`, `Map`: what a built-in says of itself. Others may say so too: what merely behaves like a collection, as
 * reactive libraries have it, counts as one, unless it has its own idea of what it is in JSON; then it is nothing known.
 */
export function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'Array'
  const kind = Object.prototype.toString.call(value).slice(8, -1)
  const real = kind === 'Map' ? Map : kind === 'Set' ? Set : undefined
  if (real && typeof (value as { toJSON?: unknown }).toJSON === 'function') {
    try {
      real.prototype.has.call(value as never, 0)
    } catch {
      return ''
    }
  }
  return kind === 'Uint8Array' && !ArrayBuffer.isView(value) ? '' : kind
}

export const isBytes = (value: unknown): value is Uint8Array =>
  ArrayBuffer.isView(value) && kindOf(value) === 'Uint8Array'
export const isDate = (value: unknown): value is Date => kindOf(value) === 'Date'
/** Throws for what only says that it is a Date. */
export const timeOf = (date: unknown): number => Date.prototype.getTime.call(date)
/** A copy of this realm's own kind that shares no memory. Throws when the buffer was transferred: its bytes are elsewhere. */
export function copyBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes)
  } catch (cause) {
    throw invalid('The buffer of the bytes was transferred.', cause)
  }
}
