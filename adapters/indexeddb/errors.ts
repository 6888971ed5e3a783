/** Turns errors of IndexedDB into `TidemarkError`s, which say what the caller can do next. */
import { TidemarkError, isTidemarkError } from '../../src/errors.js'

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
  const what = `Could not ${doing} the IndexedDB database "${database}" (${nameOf(cause) ?? String(cause)})`
  switch (nameOf(cause)) {
    case 'QuotaExceededError':
      return new TidemarkError(
        'QUOTA',
        `${what}: the browser gives this origin no more space. Delete or collect data, or free space, and try again.`,
        { cause },
      )
    case 'VersionError':
      return new TidemarkError(
        'UNSUPPORTED_FORMAT',
        `${what}: it has a version that this release does not know. Reload the page to get the newest release, or choose another name if another program made it.`,
        { cause },
      )
    case 'SecurityError':
      return unavailable(
        `${what}: the browser forbids storage here. Allow site data for this page, and do not run it in a sandboxed frame.`,
        false,
      )
    case 'InvalidStateError':
    case 'NotAllowedError':
      if (opening)
        return unavailable(
          `${what}: the browser does not open databases here, as in some private windows. Use an ordinary window, or memory().`,
          false,
        )
  }
  return unavailable(`${what}. Try again; if it stays, reload the page or restart the browser.`, true)

  function unavailable(message: string, retryable: boolean): TidemarkError {
    return new TidemarkError('STORAGE_UNAVAILABLE', message, { cause, retryable })
  }
}
