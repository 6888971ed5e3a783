/** The errors of a database that cannot be used. Few pages ever meet one. */
import { invalid, TidemarkError } from '../../src/errors.js'

export function missing(): TidemarkError {
  return new TidemarkError(
    'STORAGE_UNAVAILABLE',
    'There is no IndexedDB here: indexedDb() works in browsers and their workers. Use nodeFs() in Node, or memory().',
    { retryable: false },
  )
}

export function tooLong(name: string, ms: number, blocked: boolean): TidemarkError {
  return new TidemarkError(
    'STORAGE_UNAVAILABLE',
    `The IndexedDB database "${name}" could not be opened within ${ms / 1000} s: ` +
      (blocked
        ? 'another tab keeps an older version of it open. Close the other tabs of this site and try again.'
        : 'the browser did not answer, or waits for another tab to let go of it. Close the other tabs and try again.'),
  )
}

export function foreign(name: string): TidemarkError {
  return invalid(`The IndexedDB database "${name}" was made by another program; give indexedDb() another name.`)
}
