/** Reads versions, tags, dates and spans of time as a person writes them. */
import { InvalidArgumentError, type Command } from 'commander'
import type { When } from '../store/find.js'

export interface AtOption {
  readonly at?: When
}

export function atOption(command: Command): Command {
  return command.option(
    '--at <version>',
    'as it was: a version, a tag, a date (2026-11-21, 2026-11-21T08:30Z), or the end of an epoch (epoch:5)',
    whenOf,
  )
}

const DATE = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})?)?$/

/**
 * Reads a moment. Digits are a version, `epoch:` and digits the end of an epoch, a name with a letter is a tag; a date without a zone is in UTC, as all times that are
 * shown.
 */
export function whenOf(text: string): When {
  const [, epoch] = /^epoch[ :](-?\d{1,15})$/.exec(text) ?? []
  if (epoch !== undefined) return { epoch: Number(epoch) }
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  const [date, zone] = DATE.exec(text) ?? []
  if (date !== undefined) {
    const at = new Date(
      date.length === 10 || zone !== undefined ? date.replace(' ', 'T') : `${date.replace(' ', 'T')}Z`,
    )
    if (!Number.isNaN(at.getTime())) return at
  } else if (/^[a-z0-9._-]{1,64}$/.test(text) && /[a-z]/.test(text)) return text
  throw new InvalidArgumentError(
    'A version, a tag or a date is expected: 41, before-migration, 2026-11-21, 2026-11-21T08:30Z.',
  )
}

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Writes a span of time in the largest unit of which it is a whole number. */
export function span(ms: number): string {
  const [unit, size] = Object.entries(MS).findLast(([, each]) => ms % each === 0)!
  return `${ms / size} ${unit}`
}

/** Reads a span of time, such as `500ms`, `30s`, `15m`, `12h` or `7d`, in milliseconds. */
export function spanOf(text: string): number {
  const [, digits, unit] = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text) ?? []
  if (digits === undefined) throw new InvalidArgumentError('A span of time is expected: 30s, 15m, 12h, 7d.')
  return Number(digits) * MS[unit!]!
}
