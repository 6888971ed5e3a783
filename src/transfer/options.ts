/** Options that all transfers take, and the context in which they work. */
import { tell } from '../callback.js'
import type { Clock } from '../clock.js'
import { aborted, checkFields, invalid, isTidemarkError } from '../errors.js'
import type { ShardContext } from '../engine/context.js'
import { Shard } from '../engine/shard.js'
import { deadlines } from '../storage/deadlines.js'
import { shardContext } from '../store/context.js'
import { resolveOptions } from '../store/open-options.js'
import { checkSignal } from '../store/options.js'
import type { StorePlace } from '../tools/place.js'

/** How far a transfer is. */
export interface TransferProgress {
  /** How many segments have arrived. */
  readonly done: number
  /** How many segments have to be copied. */
  readonly total: number
  /** How many bytes have arrived. */
  readonly bytes: number
  /** How many bytes have to be copied. */
  readonly totalBytes: number
}

/** Options of every transfer. */
export interface TransferOptions {
  /**
   * Is called as segments arrive, and not waited for. Its errors are dropped.
   * @default none
   * @when Set it to show how far a long copy is.
   */
  readonly onProgress?: ((progress: TransferProgress) => unknown) | undefined
  /**
   * Ends the transfer with `ABORTED`. The target is then what it was before.
   * @default none
   * @when Set it when a copy has to end in time; another call goes on with it.
   */
  readonly signal?: AbortSignal | undefined
  /**
   * Time and randomness.
   * @default the platform's
   * @when Only tests replace it.
   */
  readonly clock?: Clock | undefined
}

const COMMON = ['onProgress', 'signal', 'clock']

export function checkTransfer(what: string, options: TransferOptions, more: readonly string[]): void {
  checkFields(what, options, new Set([...more, ...COMMON]))
  checkSignal(options.signal)
  if (options.onProgress !== undefined && typeof options.onProgress !== 'function') {
    throw invalid('onProgress: a function is expected.')
  }
}

/** Tells how far a transfer has come. */
export function tellProgress({ onProgress }: TransferOptions, progress: TransferProgress): void {
  tell(() => onProgress?.(progress))
}

/** A context for a store that is not opened for a program. It has no cache, and tells of nothing. */
export function contextOf(place: StorePlace, given: Clock | undefined): ShardContext {
  const options = resolveOptions({ ...place, clock: given })
  const { clock } = options
  const storage = deadlines(options.storage, { timeoutMs: options.timeoutMs, clock })
  const nothing = (): void => undefined
  return shardContext(options, storage, { warn: nothing, moved: nothing, committed: nothing, emit: nothing }, {}, 0)
}

/** Opens a store as a follower does, so that nothing is written and nobody is fenced. */
export function openToRead(ctx: ShardContext, signal: AbortSignal | undefined): Promise<Shard> {
  return Shard.open(ctx, {
    mode: 'follower',
    force: false,
    signal,
    create: false,
    config: () => ({ partitions: 1, job: undefined, created: 0 }),
    check: () => undefined,
    rollback: () => undefined,
    met: () => undefined,
  })
}

/** The same of a store whose log has all of it: what is copied is a version, and shards have none in common. */
export async function openWhole(ctx: ShardContext, signal: AbortSignal | undefined): Promise<Shard> {
  const shard = await openToRead(ctx, signal)
  const shards = shard.state.of?.parts.length ?? 1
  if (shards === 1) return shard
  await shard.close()
  throw invalid(
    `Store "${ctx.store}" has ${shards} shards, and only a store of one can be copied as yet. Bring them together first: rescale({ storage, name: "${ctx.store}" }, { shards: 1 }).`,
  )
}

/** An error after the caller's signal aborted is `ABORTED`; only doubt about a write says more. */
export async function abortable<T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!signal?.aborted || (isTidemarkError(error) && error.code === 'UNKNOWN_OUTCOME')) throw error
    throw aborted(signal)
  }
}

/** Runs for each item, `limit` at a time. After a failure no more are begun; it is thrown when all have ended. */
export async function eachOf<T>(items: readonly T[], limit: number, run: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values()
  let failed: { readonly error: unknown } | undefined
  const worker = async (): Promise<void> => {
    for (const item of queue) {
      try {
        await run(item)
      } catch (error) {
        failed ??= { error }
      }
      if (failed) return
    }
  }
  await Promise.all(Array.from({ length: limit }, worker))
  if (failed) throw failed.error
}
