/** Errors of a store in the words of abstract-level. */
import { isTidemarkError, type ErrorCode } from '../../src/index.js'

const codes: Partial<Record<ErrorCode, string>> = {
  FENCED: 'LEVEL_LOCKED',
  CONFLICT: 'LEVEL_LOCKED',
  CORRUPT: 'LEVEL_CORRUPTION',
  ROLLED_BACK: 'LEVEL_CORRUPTION',
  UNSUPPORTED_FORMAT: 'LEVEL_CORRUPTION',
  STORAGE_UNAVAILABLE: 'LEVEL_IO_ERROR',
  QUOTA: 'LEVEL_IO_ERROR',
  UNKNOWN_OUTCOME: 'LEVEL_IO_ERROR',
  CLOSED: 'LEVEL_DATABASE_NOT_OPEN',
  NOT_RESIDENT: 'LEVEL_NOT_SUPPORTED',
  NOT_FOUND: 'LEVEL_NOT_FOUND',
  ABORTED: 'LEVEL_ABORTED',
}

export function toLevel(error: unknown): unknown {
  if (!isTidemarkError(error)) return error
  const { code, message } = error
  const known = codes[code]
  if (known === undefined) return error
  // Only opening finds nothing.
  const told = levelError(known, code === 'NOT_FOUND' ? `The database does not exist. ${message}` : message, error)
  if (code === 'ABORTED') told.name = 'AbortError'
  return told
}

export function levelError(code: string, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code })
}

export async function failing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw toLevel(error)
  }
}
