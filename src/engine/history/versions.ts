/** The past of an open shard: its old entries and states, and the pins that keep them. */
import type { TidemarkError } from '../../errors.js'
import { createFork } from './fork.js'
import { readEntry, stateAt } from './past.js'
import { putPin, type PinRequest } from './pin-version.js'
import { listKnownPins, type StoredPin } from './pins.js'
import { payloadOf, type Payload } from './reset.js'
import { dropUploads } from '../compaction/run-writer.js'
import type { LogContext, ShardContext } from '../context.js'
import type { Lazy } from '../../part.js'
import type { Repairer } from '../repair/repairer.js'
import type { AppliedEntry, ShardState } from '../state.js'

/** What of an open shard its past takes. */
interface Present {
  readonly context: ShardContext
  readonly log: LogContext
  readonly state: ShardState
  /** Nothing more is written, and what was last may be there. */
  readonly isPoisoned: boolean
  assertWritable(): void
  readonly repairs: { readonly repairer: Pick<Lazy<Repairer>, 'loaded'> }
}

/** An entry of the past; throws `VERSION_EXPIRED` when it was collected. */
export function entryOf({ context, log }: Present, n: number): Promise<AppliedEntry> {
  return readEntry(context, log, n)
}

/** An equal state that lists nothing damaged, or the state as it is where it can't be repaired. */
export async function soundest({ repairs }: Present, state: ShardState): Promise<ShardState> {
  return repairs.repairer.loaded?.soundest(state) ?? state
}

/** The state as entry `n` left it. */
export async function stateOf(shard: Present, n: number): Promise<ShardState> {
  return soundest(shard, await stateAt(shard.context, shard.log, n))
}

export function payloadIn({ context, log }: Present, state: ShardState, signal: AbortSignal): Promise<Payload> {
  return payloadOf(context, log, state, signal)
}

/** What was uploaded for a payload and no entry names is left to collection, or deleted where there is no room for it. */
export async function dropPayload({ context, isPoisoned }: Present, { manifest }: Payload): Promise<void> {
  const left = manifest.runs.flat().filter(({ name }) => context.uploads.has(name))
  // An entry of which nothing is known may name it.
  if (isPoisoned) context.uploads.drop(left)
  else await dropUploads(context, left, undefined)
}

/** Whether another writer's collection has condemned what was uploaded for a payload. */
export function isPayloadCondemned({ context }: Present, { manifest }: Payload): boolean {
  return context.uploads.areCondemned(manifest.runs.flat())
}

export function pinsOf({ context, log }: Present): Promise<StoredPin[]> {
  // One that is damaged must not hide the others; what it keeps stays, as long as it is there.
  return listKnownPins(context, log, (error: TidemarkError): void => {
    context.warn(`A tag or fork of store "${context.store}" cannot be read. ${error.message}`, error)
  })
}

/** Keeps a version. */
export async function pinVersion(shard: Present, request: PinRequest): Promise<StoredPin> {
  shard.assertWritable()
  return putPin(shard.context, shard.log, () => shard.state, request)
}

export async function unpin(shard: Present, pins: readonly StoredPin[]): Promise<void> {
  shard.assertWritable()
  await shard.context.storage.blobs.delete(pins.map(({ blob }) => blob))
}

/** Makes a store of its own from a version. */
export async function forkVersion(
  shard: Present,
  name: string,
  source: Pick<PinRequest, 'state' | 'from' | 'isHeld'>,
): Promise<void> {
  shard.assertWritable()
  await createFork(shard.context, shard.log, () => shard.state, name, source)
}
