/** The one error class. */
import { expect, test } from 'vitest'
import { isTidemarkError, TidemarkError } from 'tidemark'

test('errors are one class with a code, whichever entry point they come from', () => {
  const error = new TidemarkError('QUOTA', 'full')
  expect(error).toBeInstanceOf(Error)
  expect([error.name, error.code, error.retryable, isTidemarkError(error)]).toEqual([
    'TidemarkError',
    'QUOTA',
    false,
    true,
  ])
  expect(new TidemarkError('STORAGE_UNAVAILABLE', 'x').retryable).toBe(true)
  expect(isTidemarkError(new Error('x'))).toBe(false)
  expect(isTidemarkError(undefined)).toBe(false)
})
