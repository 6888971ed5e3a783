/**
 * Removes secrets from errors. Errors of clients and servers quote requests: signed URLs, Authorization headers, canonical
 * requests. The `cause` that callers get is made anew of the parts that hold no secret.
 */

const LONGEST = 300

/** `text` without query strings, user names in URLs, and anything that looks like a signature or a credential. */
export function redact(text: string): string {
  const clean = text
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@?#]*@/gi, '$1')
    .replace(/\?[^\s"'<>]*/g, '?…')
    // undici quotes a header that a signing fetch has set.
    .replace(/".*" is an invalid header value/gs, '"…" is an invalid header value')
    .replace(/\b(bearer|basic)\s+[^\s"',]+/gi, '$1 …')
    .replace(
      /(\bauthorization|\bx-amz-[a-z-]+|\w*(?:signature|credential|signedheaders|secret|token|password|accesskey)\w*)(?:\\?["'])?\s*(?:[=:,>]|%3[ad]).*$/gims,
      '$1=…',
    )
    .replace(/\bAWS4-HMAC-SHA256\b.*$/gs, 'AWS4-HMAC-SHA256 …')
  return clean.length > LONGEST ? `${clean.slice(0, LONGEST)}…` : clean
}

/** A copy of `error` that may be shown. It has its name, code and text, those of its cause, and nothing else. */
export function redacted(error: unknown, depth = 0): Error & { code?: string } {
  try {
    return copyOf(error, depth)
  } catch {
    return new Error('An error that cannot be read.')
  }
}

function copyOf(error: unknown, depth: number): Error & { code?: string } {
  if (typeof error !== 'object' || error === null) return new Error(redact(String(error)))
  const { name, message, code, cause } = error as { name?: unknown; message?: unknown; code?: unknown; cause?: unknown }
  const inner = cause !== undefined && depth < 3 ? { cause: redacted(cause, depth + 1) } : undefined
  const copy: Error & { code?: string } = new Error(redact(typeof message === 'string' ? message : ''), inner)
  if (isName(name)) copy.name = name
  if (isName(code)) copy.code = code
  return copy
}

function isName(given: unknown): given is string {
  return typeof given === 'string' && /^\w{1,64}$/.test(given)
}
