/** What `consume` is given, and what it says. */
import type { Key } from '../bytes/keys.js'
import type { Offsets } from '../log/offsets.js'
import { whole } from '../store/options.js'
import type { Partition } from '../store/tables.js'
import type { Sink } from './outbox.js'
import type { HandledEvent } from './source.js'

/**
 * Works an event off: reads and changes `state`, and may `emit` outputs. The next event comes when it has returned or
 * resolved. It must not commit or discard by itself.
 */
export type Handler<V = unknown, O = unknown, K extends Key = Key, S = unknown, E = Key | undefined> = (
  event: HandledEvent<V, E>,
  state: Partition<K, S>,
  emit: (output: O) => void,
) => unknown

export interface ConsumeOptions<O = unknown> {
  /** How long an event may stay uncommitted, in milliseconds; Infinity: for any time. Default: 1,000. */
  readonly everyMs?: number | undefined
  /** How many events are committed together at most; Infinity: any number. Default: 10,000. */
  readonly everyEvents?: number | undefined
  /** Where outputs go. Without it `emit` throws. */
  readonly sink?: Sink<O> | undefined
  /** Ends the run: the event in hand is finished and committed, and `consume` resolves. */
  readonly signal?: AbortSignal | undefined
  /** Called after each commit, and waited for. What it throws or rejects with is told as a `warning`. */
  readonly onProgress?: ((progress: Progress) => unknown) | undefined
}

export interface ConsumeResult {
  /** Events handled in this run; those that were skipped do not count. */
  readonly events: number
  /** Commits made by this run. */
  readonly commits: number
  /** The version of the store. */
  readonly version: number
}

export interface Progress extends ConsumeResult {
  /** The store's: those of all its sources. */
  readonly offsets: Offsets
}

/** A whole number of at least `min`, or Infinity for none. */
export function limit(name: string, given: number | undefined, fallback: number, min: number): number {
  return given === Infinity ? given : whole(name, given, fallback, min)
}
