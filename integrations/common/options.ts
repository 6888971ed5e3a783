/** How all drivers check their options, when they are made. */
import { TidemarkError } from '../../src/index.js'

/** What an option is to be, in words, and whether a value is that. One that is left out is fine, unless it is required. */
export type Rule = readonly [expected: string, isMet: (given: unknown) => boolean, isRequired?: boolean]

/** A rule for each option of a driver. */
export type Rules<T> = Readonly<Record<keyof T, Rule>>

export const flag: Rule = ['true or false', (given) => typeof given === 'boolean']
export const callable: Rule = ['a function', (given) => typeof given === 'function']
export const tableName: Rule = [
  'a name of at most 255 bytes',
  (given) => typeof given === 'string' && new TextEncoder().encode(given).length <= 255,
]

export function invalid(message: string, cause?: unknown): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', message, { cause })
}

/**
 * Checks the options of `what`. Where `hasOthers`, somebody else checks those that no rule is for.
 * @throws `INVALID_ARGUMENT` when they are no object, when there is no such option, or when one is not what it is to be
 */
export function checkOptions<T, Own extends keyof T>(
  what: string,
  given: T,
  rules: Readonly<Record<Own, Rule>>,
  hasOthers = false,
): T {
  if (typeof given !== 'object' || given === null) throw invalid(`${what}: an object with options is expected.`)
  const known = Object.keys(rules)
  for (const name of Object.keys(given)) {
    if (!hasOthers && !known.includes(name))
      throw invalid(`${what}: there is no option "${name}"; there are ${known.join(', ')}.`)
  }
  for (const [name, [expected, isMet, isRequired]] of Object.entries<Rule>(rules)) {
    const value: unknown = given[name as keyof T]
    if (value === undefined ? isRequired : !isMet(value)) throw invalid(`${what}: ${name}: ${expected} is expected.`)
  }
  return given
}
