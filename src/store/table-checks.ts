/** Checks of the options of a table. */
import { checkFields, invalid, show } from '../errors.js'
import { checker, optional, required, type Check } from './options.js'
import {
  definitionOf,
  type AnyCodec,
  type AnyIndexes,
  type AnyTableOptions,
  type StandardSchema,
} from './table-options.js'

const codec: Check<AnyCodec> = (_, given) => {
  const { id, encode, decode } = Object(given) as Partial<AnyCodec>
  const isNamed = typeof id === 'string' && id !== '' && id.length <= 255 && !id.includes('\0')
  if (isNamed && typeof encode === 'function' && typeof decode === 'function') return given as AnyCodec
  throw invalid('codec: { id, encode, decode } is expected, the id of 1 to 255 characters.')
}

const schema: Check<StandardSchema<unknown>> = (_, given) => {
  const checked = given as StandardSchema<unknown> | null
  if (typeof checked?.['~standard']?.validate === 'function') return checked
  throw invalid('schema: a Standard Schema is expected, as zod has them.')
}

export const checkTtl: Check<number> = (name, given) => {
  if (typeof given === 'number' && Number.isFinite(given) && given > 0 && given <= 2 ** 50) return Math.ceil(given)
  throw invalid(`${name}: a positive number is expected, not ${show(given)}.`)
}

const DEFINITION = new Set(['key', 'many', 'unique'])

const indexes: Check<AnyIndexes> = (_, given) => {
  if (typeof given !== 'object' || given === null || Array.isArray(given) || given instanceof Map)
    throw invalid(`indexes: { name: function } is expected, not ${show(given)}.`)
  for (const [name, index] of Object.entries(given as AnyIndexes)) {
    if (typeof index === 'object') checkFields(`indexes: "${name}"`, index, DEFINITION)
    const { key, many, unique } = definitionOf(index)
    if (name !== '' && typeof key === 'function' && typeof many === 'boolean' && typeof unique === 'boolean') continue
    throw invalid(
      `indexes: "${name}" is a function, or { key, many, unique } with a function and two times true or false.`,
    )
  }
  return given as AnyIndexes
}

const upgrade: Check<(value: never, from: number) => unknown> = (_, given) => {
  if (typeof given === 'function') return given as never
  throw invalid('upgrade: a function is expected.')
}

export const TABLE_OPTIONS = {
  codec: optional(codec),
  schema: optional(schema),
  ttlMs: optional(checkTtl),
  indexes: optional(indexes),
  version: optional((name, given) => required(name, given, 1)),
  upgrade: optional(upgrade),
}
export const checkTable: (options: AnyTableOptions) => AnyTableOptions = checker('table', TABLE_OPTIONS)
