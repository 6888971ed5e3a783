/** Options and results of `consume`. */
import type { Key } from '../bytes/keys.js'
import { invalid } from '../errors.js'
import type { Offsets } from '../log/offsets.js'
import { checkSignal, whole } from '../store/options.js'
import type { Partition } from '../store/tables.js'
import type { Sink } from './outbox.js'
import type { HandledEvent, SourceEvent } from './source.js'

/**
 * Handles one event: reads and changes `state`, and may `emit` outputs. The next event comes when the handler has returned
 * or resolved. It must not commit or discard by itself.
 */
export type Handler<V = unknown, O = unknown, K extends Key = Key, S = unknown, E = Key | undefined> = (
  event: HandledEvent<V, E>,
  state: Partition<K, S>,
  emit: (output: O) => void,
) => unknown

/** Options of `consume`. */
export interface ConsumeOptions<O = unknown> {
  /**
   * How long an event may stay uncommitted, in milliseconds. `Infinity` sets no limit.
   * @default 1000
   * @unit milliseconds
   * @when Lower it when outputs have to come sooner; raise it where each commit is a request that costs.
   */
  readonly everyMs?: number | undefined
  /**
   * How many events are committed together at most. `Infinity` sets no limit.
   * @default 10000
   * @unit events
   * @when Lower it when handling events again after a crash takes too long; raise it for cheap events in bulk.
   */
  readonly everyEvents?: number | undefined
  /**
   * The epoch of an event, a number that never falls within a partition: the day, say, or the number of a batch. The run commits when an epoch
   * is over, with the label `epoch <number>`, before the first event of the next one, so that `at({ epoch })` shows the state in which all events
   * up to it have their effect and no later one. Partitions that are ahead wait for the others, and one that is silent is waited for
   * `everyMs`; what it brings of an earlier epoch after that counts to the present one.
   * @default none: commits are made by time and count alone
   * @when Set it when states of several shards have to fit together, or a day's state is to be found again.
   */
  readonly epoch?: ((event: SourceEvent) => number) | undefined
  /**
   * Takes the outputs.
   * @default none: `emit` throws
   * @when Set it when handling an event has to reach something outside of the store.
   */
  readonly sink?: Sink<O> | undefined
  /**
   * Ends the run when it aborts: the event in hand is finished and committed, and `consume` resolves.
   * @default none: the run ends with the source
   * @when Set it to shut down in good order.
   */
  readonly signal?: AbortSignal | undefined
  /**
   * Is called after each commit, and waited for. An error of it is told as a `warning` of the store.
   * @default none
   * @when Set it to show how far the run is.
   */
  readonly onProgress?: ((progress: Progress) => unknown) | undefined
}

/** The result of a run. */
export interface ConsumeResult {
  /** Events handled in this run; those that were skipped do not count. */
  readonly events: number
  /** Commits made by this run. */
  readonly commits: number
  /** The version of the store. */
  readonly version: number
}

/** How far a run is, after a commit. */
export interface Progress extends ConsumeResult {
  /** The offsets of the store, of all its sources. */
  readonly offsets: Offsets
}

/** @throws `INVALID_ARGUMENT` */
export function checkConsumeOptions({ everyMs, everyEvents, epoch, sink, signal, onProgress }: ConsumeOptions): void {
  limit('everyMs', everyMs, 0, 0)
  limit('everyEvents', everyEvents, 1, 1)
  checkSignal(signal)
  if (sink !== undefined && typeof Object(sink).deliver !== 'function') {
    throw invalid('sink: an object with a function deliver() is expected.')
  }
  for (const [name, given] of Object.entries({ epoch, onProgress })) {
    if (given !== undefined && typeof given !== 'function') throw invalid(`${name}: a function is expected.`)
  }
}

/** A whole number of at least `min`, or Infinity for no limit. */
export function limit(name: string, given: number | undefined, fallback: number, min: number): number {
  return given === Infinity ? given : whole(name, given, fallback, min)
}
