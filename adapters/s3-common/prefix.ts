import { invalid, show } from '../../src/errors.js'

/** The prefix of keys: empty, or with a slash at its end. */
export function keyPrefix(what: string, prefix: unknown): string {
  if (prefix === undefined || prefix === '') return ''
  if (typeof prefix !== 'string' || !LEGAL.test(prefix) || prefix.length > LONGEST) {
    throw invalid(
      `${what}: prefix must be names joined by single slashes, without control characters and at most ${LONGEST} characters long, not ${show(prefix)}.`,
    )
  }
  return prefix.endsWith('/') ? prefix : `${prefix}/`
}

const LONGEST = 400
/** Names that are not `.` or `..`, which clients and proxies resolve, in ASCII, which S3 and JavaScript sort alike. */
const LEGAL = /^(?!(?:.*\/)?\.{1,2}(?:\/|$))[!-.0-~]+(?:\/[!-.0-~]+)*\/?$/
