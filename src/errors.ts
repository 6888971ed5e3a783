/**
 * The one error class. A `code` says what the caller can do next; the message says what happened, to which object, and
 * what to do; `cause` keeps the storage's own error.
 */
export type ErrorCode =
  /** Another writer took the store over; `reopen()` takes it back. */
  | 'FENCED'
  /** Another writer was quicker, or the mode contradicts the recorded one; nothing was applied, changes are kept. */
  | 'CONFLICT'
  /** There is no such store, tag, fork or version. */
  | 'NOT_FOUND'
  /** There was such a version, and retention has dropped it. */
  | 'VERSION_EXPIRED'
  /** Stored bytes fail their checks; they are never returned as data. */
  | 'CORRUPT'
  /** The storage holds less than it held before, as `expectAtLeast` says. */
  | 'ROLLED_BACK'
  /** The bytes were written by a newer format than this release reads. */
  | 'UNSUPPORTED_FORMAT'
  /** The storage does not enforce what the protocol stands on. */
  | 'STORAGE_UNSAFE'
  /** The storage did not answer, or refused for a reason of its own. */
  | 'STORAGE_UNAVAILABLE'
  /** No space, or a configured bound is reached. */
  | 'QUOTA'
  /** A write may or may not have happened; the handle refuses further writes until `reopen()`. */
  | 'UNKNOWN_OUTCOME'
  /** `getSync` needs a block that is not in memory. */
  | 'NOT_RESIDENT'
  /** A write on a follower or a snapshot. */
  | 'READ_ONLY'
  /** The call itself is wrong; the message names the argument. */
  | 'INVALID_ARGUMENT'
  /** The handle was closed. */
  | 'CLOSED'
  /** The caller's signal aborted. */
  | 'ABORTED'

const RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['CONFLICT', 'STORAGE_UNAVAILABLE'])

/** Options of a `TidemarkError`. */
export interface TidemarkErrorOptions {
  /**
   * The error beneath, such as that of the storage.
   * @default none
   * @when An adapter sets it to the error that it met.
   */
  readonly cause?: unknown
  /**
   * Whether the same call may succeed when it is repeated as it is.
   * @default true for `CONFLICT` and `STORAGE_UNAVAILABLE`
   * @when An adapter sets it when it knows better than the code tells.
   */
  readonly retryable?: boolean | undefined
}

/** The error of every call that fails. */
export class TidemarkError extends Error {
  /** Always this; it tells the class apart across copies of the package. */
  override readonly name = 'TidemarkError'
  /** It tells the caller how to go on; `ErrorCode` explains each. */
  readonly code: ErrorCode
  /** Whether the same call may succeed when it is repeated as it is. */
  readonly retryable: boolean

  constructor(code: ErrorCode, message: string, options: TidemarkErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = options.retryable ?? RETRYABLE.has(code)
  }
}

/**
 * True for a `TidemarkError`, also one from another copy of the package; narrows its type.
 *
 * @example
 *     if (isTidemarkError(error) && error.code === 'CONFLICT') retryLater()
 */
export function isTidemarkError(e: unknown): e is TidemarkError {
  const { name, code } = Object(e) as { readonly name?: unknown; readonly code?: unknown }
  return name === 'TidemarkError' && typeof code === 'string'
}

/** Makes the error of a wrong call. */
export function invalid(message: string, cause?: unknown): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', message, { cause })
}

/**
 * Makes the error of stored bytes that fail a check. An overflow of the caller's stack says nothing about them, and stays as it
 * is.
 */
export function corrupt(message: string, cause?: unknown): TidemarkError {
  if (/Maximum call stack|too much recursion/.test(reasonOf(cause))) return cause as TidemarkError
  return new TidemarkError('CORRUPT', message, { cause })
}

/** `what` names the object, `problem` what is wrong with its bytes. */
export function damaged(what: string, problem: string, cause?: unknown): TidemarkError {
  return corrupt(`${what} is damaged: ${problem}.`, cause)
}

/** Stored bytes that are whole but not for this release: `found` says which object holds what. */
export function unsupported(found: string): TidemarkError {
  return new TidemarkError('UNSUPPORTED_FORMAT', `${found}, which this release does not read. Use a newer one.`)
}

/** The message of an error, or a text for any other value that was thrown. */
export function reasonOf(cause: unknown): string {
  const { message } = Object(cause) as { readonly message?: unknown }
  return typeof message === 'string' ? message : show(cause)
}

/** A short text for any value, for a message. It never throws. */
export function show(value: unknown): string {
  let text: string
  try {
    text = typeof value === 'bigint' ? `${value}n` : typeof value === 'number' ? String(value) : JSON.stringify(value)
  } catch {
    text = typeof value
  }
  text ??= typeof value
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

/** Refuses an argument that is no object, or has other fields than these: a misspelt option must not be passed over. */
export function checkFields(what: string, given: unknown, known: ReadonlySet<string>): void {
  if (typeof given !== 'object' || given === null) throw invalid(`${what}: an object is expected, not ${show(given)}.`)
  for (const name of Object.keys(given)) {
    if (!known.has(name))
      throw invalid(`${what}: there is no option ${show(name)}; there are ${[...known].join(', ')}.`)
  }
}

/** Throws `ABORTED` when the signal has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal)
}

export function aborted(signal: AbortSignal): TidemarkError {
  return new TidemarkError('ABORTED', 'The call was aborted by its signal.', { cause: signal.reason as unknown })
}

/** Whether bytes are to blame: they are damaged, or a newer release wrote them. */
export function isDamage(error: unknown): error is TidemarkError {
  return isTidemarkError(error) && (error.code === 'CORRUPT' || error.code === 'UNSUPPORTED_FORMAT')
}

/** Whether there was no room. */
export function isFull(error: unknown): error is TidemarkError {
  return isTidemarkError(error) && error.code === 'QUOTA'
}

/** Whether a version is no longer kept. */
export function isExpired(error: unknown): error is TidemarkError {
  return isTidemarkError(error) && error.code === 'VERSION_EXPIRED'
}
