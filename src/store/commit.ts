/** What callers may say with a commit, checked. */
import { taggedJson } from '../bytes/codec.js'
import { isWellFormed } from '../bytes/utf8.js'
import { checkFields, invalid, reasonOf } from '../errors.js'
import { NO_OFFSETS, parseOffsets, type Offsets } from '../log/offsets.js'
import type { CommitRequest } from '../engine/write/requests.js'

export interface CommitOptions {
  /** Where each source is to be read from next; committed in the same entry as the changes. */
  readonly offsets?: Offsets | undefined
  readonly label?: string | undefined
  /** Anything that JSON keeps. */
  readonly meta?: unknown
  /** Lets offsets go back. */
  readonly force?: boolean | undefined
}

export type CommitParts = Pick<CommitRequest, 'offsets' | 'force' | 'label' | 'meta'>

const OPTIONS = new Set(['offsets', 'label', 'meta', 'force'])
const MAX_LABEL = 65_536

export function parseCommit(options: CommitOptions): CommitParts {
  checkFields('commit', options, OPTIONS)
  return {
    offsets: options.offsets === undefined ? NO_OFFSETS : parseOffsets(options.offsets),
    force: options.force === true,
    label: checkLabel(options.label),
    meta: encodeMeta(options.meta),
  }
}

function checkLabel(label: unknown): string | undefined {
  if (label === undefined) return undefined
  if (typeof label !== 'string' || !isWellFormed(label) || label.length > MAX_LABEL) {
    throw invalid(`label: a string of at most ${MAX_LABEL} characters is expected.`)
  }
  return label
}

function encodeMeta(meta: unknown): string | undefined {
  if (meta === undefined) return undefined
  try {
    const text = JSON.stringify(meta)
    // What is nothing in JSON, or nested deeper than values may be, is refused.
    taggedJson(JSON.parse(text))
    return text
  } catch (cause) {
    throw invalid(`meta: it cannot be written as JSON: ${reasonOf(cause)}`, cause)
  }
}
