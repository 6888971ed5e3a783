/** Errors of drivers and servers, without connection strings, hosts' credentials and the values of statements. */
import { isTidemarkError } from '../../src/errors.js'
import { redacted } from '../s3-common/redact.js'

/** A copy that may be shown: its name, code and text. A connection string is left out whole, as a password may hold anything. */
export function redactedError(error: unknown): unknown {
  if (isTidemarkError(error)) return error
  const { name, message, code } = Object(error) as { name?: unknown; message?: unknown; code?: unknown }
  const text = String(message ?? error).replace(/\b[a-z][a-z0-9+.-]*:\/\/\S+/gi, 'a connection string')
  return redacted({ name, message: text, code })
}
