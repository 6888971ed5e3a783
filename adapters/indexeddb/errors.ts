/** Turns errors of IndexedDB into `TidemarkError`s, which say what the caller can do next. */
import { TidemarkError, isTidemarkError, type ErrorCode } from '../../src/errors.js'

/** A transaction whose requests all succeeded and which then did not complete: it may have been committed. */
export class Uncertain extends Error {
  constructor(cause: unknown) {
    super('The transaction may have been committed.', { cause })
  }
}

export function nameOf(error: unknown): string | undefined {
  return isTidemarkError(error) ? undefined : (error as { name?: string } | null | undefined)?.name
}

export function isFull(error: unknown): boolean {
  return nameOf(error) === 'QuotaExceededError'
}

/**
 * Whether another connection may do better. This one was closed (by the browser, by cleared site data, or in Safari with its
 * process), or the browser ended the transaction for a reason of its own.
 */
export function isDead(error: unknown): boolean {
  return DEAD.has(nameOf(error) ?? '')
}

const DEAD = new Set(['InvalidStateError', 'AbortError', 'UnknownError', 'TransactionInactiveError', 'TimeoutError'])

/** The error for a call. `doing` ends the sentence "Could not …"; `opening` says that the database could not be opened. */
export function idbError(error: unknown, doing: string, database: string, opening = false): TidemarkError {
  if (isTidemarkError(error)) return error
  const cause = error instanceof Uncertain ? error.cause : error
  const failed = (code: ErrorCode, advice: string, retryable?: boolean): TidemarkError =>
    new TidemarkError(
      code,
      `Could not ${doing} the IndexedDB database "${database}" (${nameOf(cause) ?? String(cause)})${advice}`,
      { cause, retryable },
    )
  switch (nameOf(cause)) {
    case 'QuotaExceededError':
      return failed(
        'QUOTA',
        ': the browser gives this origin no more space. Delete or collect data, or free space, and try again.',
      )
    case 'VersionError':
      return failed(
        'UNSUPPORTED_FORMAT',
        ': it has a version that this release does not know. Reload the page to get the newest release, or choose another name if another program made it.',
      )
    case 'SecurityError':
      return failed(
        'STORAGE_UNAVAILABLE',
        ': the browser forbids storage here. Allow site data for this page, and do not run it in a sandboxed frame.',
        false,
      )
    case 'InvalidStateError':
    case 'NotAllowedError':
      if (opening)
        return failed(
          'STORAGE_UNAVAILABLE',
          ': the browser does not open databases here, as in some private windows. Use an ordinary window, or memory().',
          false,
        )
  }
  return failed('STORAGE_UNAVAILABLE', '. Try again; if it stays, reload the page or restart the browser.')
}
