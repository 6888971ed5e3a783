/** Runs the program of a member on one shard, for as long as the member owns it. */
import type { Key } from '../bytes/keys.js'
import { isPromise } from '../callback.js'
import type { Handler } from '../stream/options.js'
import { Run } from '../stream/run.js'
import type { Program, ShardRange } from './program.js'
import type { EventPlace, Tenure } from './tenure.js'

/** Why a run ended before its source, or its turn. */
export interface Failure {
  readonly cause: unknown
  /** The event at which the handler threw it. */
  readonly at: EventPlace | undefined
}

/** Resolves when the source has ended, the program is to end, or the shard is to go; with what failed, if anything did. */
export async function runOn(tenure: Tenure, program: Program, shard: ShardRange): Promise<Failure | undefined> {
  const { source, options, totals, runs } = program
  const { id, first, last } = shard
  const context = { signal: tenure.lost, token: tenure.token, shard: { id, first, last } }
  let thrown: { readonly cause: unknown; readonly at: EventPlace } | undefined
  // One is in hand at a time.
  let at: EventPlace
  const handled = (): void => tenure.handled(at)
  const threw = (cause: unknown): never => {
    tenure.isInHand = false
    thrown = { cause, at }
    throw cause
  }
  const handler: Handler = (event, state, emit) => {
    tenure.isInHand = true
    at = { partition: state.number, offset: event.offset }
    let answer: unknown
    try {
      answer = program.handler(event, state, emit, context)
    } catch (cause) {
      return threw(cause)
    }
    if (isPromise(answer)) return (answer as Promise<unknown>).then(handled, threw)
    return handled()
  }
  let [events, commits] = [0, 0]
  const stop = new AbortController()
  const end = (): void => stop.abort()
  const signals = [tenure.releasing, tenure.resting, tenure.lost]
  for (const each of signals) {
    if (each.aborted) end()
    else each.addEventListener('abort', end, { once: true })
  }
  if (program.isEnding) end()
  runs.add(end)
  const onProgress: typeof options.onProgress = (progress) => {
    totals.events += progress.events - events
    totals.commits += progress.commits - commits
    ;({ events, commits } = progress)
    return options.onProgress?.({ ...progress, shard: context.shard })
  }
  try {
    const runOptions = { ...options, onProgress: onProgress as never, signal: stop.signal }
    await new Run(
      tenure.store,
      tenure.handle,
      source,
      handler as Handler<unknown, unknown, Key>,
      runOptions,
      tenure,
    ).go()
    return undefined
  } catch (cause) {
    return { cause, at: thrown?.cause === cause ? thrown?.at : undefined }
  } finally {
    runs.delete(end)
    for (const each of signals) each.removeEventListener('abort', end)
  }
}
