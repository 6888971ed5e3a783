/**
 * One append, brought to a known end. An error or a time-out after sending says nothing: the same bytes are sent again
 * until they are committed or the number is taken, and what took it is read back; the write id decides, not the content.
 * Absence is no proof of failure either, for a late write may still land (PROTOCOL.md, section 2).
 */
import type { Clock } from '../clock.js'
import { sleep } from '../clock.js'
import { TidemarkError } from '../errors.js'
import type { Answer, Log, Outcome } from '../storage/contract.js'
import { decodeEntry, sameWrite, type Entry } from './entry.js'

export interface Committed {
  readonly outcome: 'committed'
  /** The storage's time of the answer. */
  readonly time: number | undefined
}

export type Resolution =
  | Committed
  | { readonly outcome: 'lost' }
  | { readonly outcome: 'unknown'; readonly cause: unknown }

export interface AppendContext {
  readonly log: Log
  readonly clock: Clock
  /** How long to go on trying, in milliseconds. */
  readonly timeoutMs: number
  /** The storage looks at the trim number in the create itself, so that `lost` holds even where the number is empty. */
  readonly isLostSure?: boolean
}

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000

/**
 * Sends `entry` by `send` (an append or a claim) until its fate is known. What `send` throws before anything was sent
 * surely did not happen, and is thrown on.
 */
export async function resolveAppend(
  context: AppendContext,
  entry: Entry,
  send: () => Promise<Outcome & Answer>,
): Promise<Resolution> {
  const { clock } = context
  const deadline = clock.monotonic() + context.timeoutMs
  let uncertain: { cause: unknown } | undefined
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      const answer = await send()
      if (answer.outcome === 'committed') return { outcome: 'committed', time: answer.time }
      if (answer.outcome === 'lost') {
        const verdict = await readBack(context, entry)
        // Taken and gone again: it was trimmed meanwhile, and may have been this very entry, sent twice by a client below.
        if (verdict === 'absent') {
          const isSure = context.isLostSure === true && uncertain === undefined
          return isSure ? { outcome: 'lost' } : { outcome: 'unknown', cause: uncertain?.cause }
        }
        if (verdict !== undefined) return verdict
        uncertain ??= { cause: undefined }
      } else {
        uncertain = { cause: answer.cause }
        if (!answer.settle) return { outcome: 'unknown', cause: answer.cause }
      }
    } catch (cause) {
      // Once something may have landed, a later refusal proves nothing about it.
      if (uncertain === undefined) throw cause
      uncertain = { cause }
    }
    if (clock.monotonic() + pause >= deadline) return { outcome: 'unknown', cause: uncertain.cause }
    await sleep(clock, pause)
  }
}

/** The answer to an append that landed; `undefined` when another entry has its number. Throws when nobody can say which. */
export function landed(resolution: Resolution, what: string): Committed | undefined {
  if (resolution.outcome === 'unknown') throw unknownOutcome(what, resolution.cause)
  return resolution.outcome === 'committed' ? resolution : undefined
}

/** For calls that find out what became of it when they are made again. */
export function unknownOutcome(what: string, cause?: unknown): TidemarkError {
  return new TidemarkError('UNKNOWN_OUTCOME', `It is not known whether ${what}`, { cause, retryable: true })
}

/** Reads what took the number; `undefined` when that could not be read now. */
async function readBack(context: AppendContext, entry: Entry): Promise<Resolution | 'absent' | undefined> {
  let bytes: Uint8Array | undefined
  try {
    ;({ bytes } = await context.log.read(entry.n))
  } catch {
    return undefined
  }
  if (bytes === undefined) return 'absent'
  try {
    const found = decodeEntry(bytes, entry.n, entry.logId)
    return sameWrite(found, entry) ? { outcome: 'committed', time: undefined } : { outcome: 'lost' }
  } catch (cause) {
    return { outcome: 'unknown', cause }
  }
}
