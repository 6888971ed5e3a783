/** `consume`: checks what it is given, and makes one run of it. */
import { invalid } from '../errors.js'
import type { Key } from '../bytes/keys.js'
import type { StoreHandle } from '../store/handle.js'
import { handleOf } from '../store/handles.js'
import type { Store } from '../store/store.js'
import { checkConsumeOptions, type ConsumeOptions, type ConsumeResult, type Handler } from './options.js'
import { Run } from './run.js'
import { checkSource, type Source } from './source.js'

/** Stores that a run is under way on. */
const busy = new WeakSet<StoreHandle>()

/**
 * Takes the events of `source` into `store` until the source ends or `signal` aborts. Each event has its effect once,
 * whatever crashes on the way: the next run goes on where the newest commit says.
 *
 * `state` is the store through one partition. When the source has as many partitions as the store, its partition i goes to
 * `store.partition(i)`. Otherwise the event's key decides, as it does in `store.put`, and events without a key go to
 * partition 0. Commits are made by time or by count, whichever comes first, and at the end. What the caller had put
 * before and not committed goes with the first commit. One store handle takes one `consume` at a time.
 *
 * A run has a buffer of its own, so that other commits on this handle take nothing of it along. In shared mode it is like
 * that of a transaction: when others have written, what was handled since the last commit is dropped and handled again, on
 * top of that. What the caller had put before is committed first there. What it puts on the store meanwhile, not on
 * `state`, is neither seen by `state` nor committed by the run.
 *
 * On a handle of one shard of several, events of other partitions are left out, and the source's position goes on beyond them. So a source
 * with as many partitions as the store is read in the shard's own alone, and any other is read whole in every shard. After a merge each
 * partition goes on from where it stood, and a run delivers the outputs of all that the shard came of.
 *
 * @returns how many events were handled, how many commits were made, and the version of the store
 * @throws `INVALID_ARGUMENT` for a wrong option, source or offset, and for a second run on this handle
 * @throws `CONFLICT` when the program calls `reopen()` or changes the offsets of the source meanwhile, and when other
 *   writers were first sixteen times in a row
 * @throws whatever the source, the handler or the sink throws, as it is
 * @throws the errors of `store.commit`, such as `FENCED`. After any error what is uncommitted is dropped
 * @example
 *     await consume(store, source, async (event, state) => {
 *       state.put(event.key, ((await state.get(event.key)) ?? 0) + 1)
 *     })
 */
export async function consume<V, O = unknown, K extends Key = Key, S = unknown, E = Key | undefined>(
  store: Store<K, S>,
  source: Source<V, E>,
  handler: Handler<V, O, K, S, E>,
  options: ConsumeOptions<O> = {},
): Promise<ConsumeResult> {
  const handle = handleOf(store)
  checkSource(source as Source)
  if (typeof handler !== 'function') throw invalid('consume: a handler function is expected.')
  checkConsumeOptions(options as ConsumeOptions)
  if (busy.has(handle)) {
    throw invalid(
      `Store "${store.name}" is being consumed into already, and two runs on one handle would overwrite each other's work; wait for the first, or open another store.`,
    )
  }
  // Throws when this handle may not write.
  handle.writable()
  const run = new Run(
    store as unknown as Store,
    handle,
    source as Source<V>,
    handler as unknown as Handler<V, O>,
    options,
  )
  busy.add(handle)
  try {
    return await run.go()
  } finally {
    busy.delete(handle)
  }
}
