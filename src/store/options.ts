/** Checks of options: a table says for each one what it has to be, and what it is when it is left out. */
import { checkFields, invalid, show } from '../errors.js'

/** Returns the value of an option; throws `INVALID_ARGUMENT`. */
export type Check<T> = (name: string, given: unknown) => T
type Checks = Readonly<Record<string, Check<unknown>>>
export type Checked<C extends Checks> = { readonly [Name in keyof C]: ReturnType<C[Name]> }

/** Checks all options of a call. `prefix` stands before their names in errors. */
export function checker<C extends Checks>(what: string, checks: C, prefix = ''): (given: unknown) => Checked<C> {
  const known = new Set(Object.keys(checks))
  return (given) => {
    checkFields(what, given, known)
    const checked: Record<string, unknown> = {}
    for (const name of known) {
      checked[name] = checks[name]!(prefix + name, (given as Readonly<Record<string, unknown>>)[name])
    }
    return checked as Checked<C>
  }
}

/** Options within an option. */
export function within<C extends Checks>(what: string, checks: C): Check<Checked<C>> {
  const check = checker(what, checks, `${what}.`)
  return (_, given = {}) => check(given)
}

export function number(fallback: number, min: number, max?: number): Check<number> {
  return (name, given) => whole(name, given, fallback, min, max)
}

export function boolean(fallback: boolean): Check<boolean> {
  return (name, given) => flag(name, given) ?? fallback
}

export function optional<T>(check: Check<T>): Check<T | undefined> {
  return (name, given) => (given === undefined ? undefined : check(name, given))
}

/** The first value is the default. */
export function oneOf<T extends string>(...values: readonly [T, ...T[]]): Check<T> {
  return (name, given = values[0]) => {
    if (values.includes(given as T)) return given as T
    throw invalid(`${name}: ${values.map((value) => `"${value}"`).join(' or ')} is expected, not ${show(given)}.`)
  }
}

/** Checked where it is used. */
export function any<T>(): Check<T> {
  return (_, given) => given as T
}

/** A whole number within the bounds; `fallback` when it is left out. */
export function whole(name: string, given: unknown, fallback: number, min: number, max?: number): number {
  return given === undefined ? fallback : required(name, given, min, max)
}

export function required(name: string, given: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof given !== 'number' || !Number.isSafeInteger(given) || given < min || given > max) {
    const bound = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
    throw invalid(`${name}: a whole number ${bound} is expected, not ${show(given)}.`)
  }
  return given
}

export function flag(name: string, given: unknown): boolean | undefined {
  if (given !== undefined && typeof given !== 'boolean') throw invalid(`${name}: true or false is expected.`)
  return given
}

export const signal: Check<AbortSignal | undefined> = (_, given) => {
  checkSignal(given as AbortSignal | undefined)
  return given as AbortSignal | undefined
}

export function checkSignal(given: AbortSignal | undefined): void {
  if (given === undefined) return
  if (typeof given !== 'object' || given === null || typeof given.addEventListener !== 'function') {
    throw invalid('signal: an AbortSignal is expected.')
  }
}
