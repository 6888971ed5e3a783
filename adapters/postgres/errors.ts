/** Turns failures of statements into `TidemarkError`s, which say what the caller can do next. */
import { isTidemarkError, reasonOf, TidemarkError, type ErrorCode } from '../../src/errors.js'
import { isRefusal, stateOf, type Failure } from './client.js'

/** What a client says that has not sent a statement. */
const NOT_SENT = /is not queryable|after calling end on the pool/

/** Whether a statement may have been carried out. */
export function isUncertain({ cause, wasSent }: Failure): boolean {
  return wasSent && !isRefusal(cause) && !NOT_SENT.test(reasonOf(cause))
}

type Advice = readonly [code: ErrorCode, advice: string, retryable?: boolean]

const ADVICE: Readonly<Record<string, Advice>> = {
  '53100': ['QUOTA', 'The disk of the server is full. Free space there, or delete and collect data, and try again.'],
  '53300': ['STORAGE_UNAVAILABLE', 'Give the Pool a lower max, or the server more max_connections.'],
  '57014': ['STORAGE_UNAVAILABLE', 'The statement took too long or was cancelled. Raise statement_timeout.'],
  '55P03': ['STORAGE_UNAVAILABLE', 'A lock was held for too long. Raise lock_timeout.'],
  '25006': [
    'STORAGE_UNAVAILABLE',
    'The connection can only read: the server is a standby, or default_transaction_read_only is on. Connect to the primary.',
  ],
  '42501': [
    'STORAGE_UNAVAILABLE',
    'Grant the role select, insert, update and delete on the three tables, and create on the schema if they are to be made.',
    false,
  ],
  '3D000': ['STORAGE_UNAVAILABLE', 'Create the database first.', false],
  '3F000': ['STORAGE_UNAVAILABLE', 'Create the schema first, or name another one.', false],
  '28P01': ['STORAGE_UNAVAILABLE', 'Correct the user or the password.', false],
  '28000': ['STORAGE_UNAVAILABLE', 'Correct the user, or let it in by pg_hba.conf.', false],
  '42883': ['STORAGE_UNAVAILABLE', 'PostgreSQL 13 or newer is needed.', false],
}
/** The tables are there and have other columns. */
const FOREIGN: Advice = [
  'INVALID_ARGUMENT',
  'Another program made tables of these names: choose another prefix or schema.',
]
const TOO_LARGE: Advice = ['INVALID_ARGUMENT', 'It is too large: use smaller segments.']

/** The error of a call; `doing` ends the sentence "postgres could not …". */
export function failed(doing: string, { cause }: Failure): TidemarkError {
  if (isTidemarkError(cause)) return cause
  const state = stateOf(cause)
  const [code, advice, retryable] = adviceOn(state) ?? ['STORAGE_UNAVAILABLE', 'Try again.']
  const said = reasonOf(cause) || String((cause as { code?: unknown }).code)
  const named = state === undefined ? said : `${said}, SQLSTATE ${state}`
  return new TidemarkError(code, `postgres could not ${doing} (${named}). ${advice}`, { cause, retryable })
}

function adviceOn(state = ''): Advice | undefined {
  if (/^(?:42703|42804|42P10|22P02)$/.test(state)) return FOREIGN
  return state.startsWith('54') ? TOO_LARGE : ADVICE[state]
}

/** What the server answers before it is durable is no commit. */
export function notDurable(): TidemarkError {
  return unsafe('synchronous_commit is off, so that the server answers commits before they are durable', 'set it to on')
}

export function readOnly(): TidemarkError {
  return unsafe('the server is a standby, or transactions are read-only here', 'connect to the primary')
}

function unsafe(found: string, remedy: string): TidemarkError {
  return new TidemarkError('STORAGE_UNSAFE', `postgres: ${found}. Nothing was written; ${remedy}.`)
}
