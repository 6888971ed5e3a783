/** The table-driven check of options. */
import { expect, test } from 'vitest'
import { any, boolean, checker, number, oneOf, optional, signal, within } from '../../../src/store/options.js'
import { code } from '../../support/shared.js'

const check = checker('call', {
  limit: number(10, 0, 100),
  mode: oneOf('plain', 'fancy'),
  dryRun: boolean(false),
  name: optional((name, given) => `${name}=${String(given)}`),
  size: within('size', { rows: number(16, 1) }),
  value: any<unknown>(),
  signal,
})

test('an option that is left out, or undefined, has its default', () => {
  const defaults = { limit: 10, mode: 'plain', dryRun: false, size: { rows: 16 } }
  expect(check({})).toEqual(defaults)
  expect(check({ limit: undefined, name: undefined, size: undefined })).toEqual(defaults)
  expect(check({ size: {} })).toEqual(defaults)
})

test('options are what was given', () => {
  const aborting = new AbortController().signal
  const given = { limit: 0, mode: 'fancy', dryRun: true, size: { rows: 2 }, value: null, signal: aborting }
  expect(check({ ...given, name: 'x' })).toEqual({ ...given, name: 'name=x' })
})

test.each([
  [{ limits: 1 }, 'call: there is no option "limits"; there are limit, mode, dryRun, name, size, value, signal.'],
  [null, 'call: an object is expected, not null.'],
  [{ limit: 101 }, 'limit: a whole number from 0 to 100 is expected, not 101.'],
  [{ limit: null }, 'limit: a whole number from 0 to 100 is expected, not null.'],
  [{ mode: 'Plain' }, 'mode: "plain" or "fancy" is expected, not "Plain".'],
  [{ dryRun: 1 }, 'dryRun: true or false is expected.'],
  [{ size: { row: 1 } }, 'size: there is no option "row"; there are rows.'],
  [{ size: { rows: 0 } }, 'size.rows: a whole number of at least 1 is expected, not 0.'],
  [{ size: null }, 'size: an object is expected, not null.'],
  [{ signal: {} }, 'signal: an AbortSignal is expected.'],
])('%j is refused, and the error names the option', (given, message) => {
  expect(() => check(given)).toThrow(code('INVALID_ARGUMENT'))
  expect(() => check(given)).toThrow(message)
})
