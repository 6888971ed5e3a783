/** The past of an open shard: its old entries and states, and the pins that keep them. */
import type { TidemarkError } from '../../errors.js'
import { createFork } from './fork.js'
import { readEntry, stateAt } from './past.js'
import { listKnownPins, putPin, type PinRequest, type StoredPin } from './pins.js'
import { payloadOf, type Payload } from './reset.js'
import { dropUploads } from '../compaction/run-writer.js'
import type { Shard } from '../shard.js'
import type { AppliedEntry, ShardState } from '../state.js'

/** An entry of the past; throws `VERSION_EXPIRED` when it was collected. */
export function entryOf({ context, log }: Shard, n: number): Promise<AppliedEntry> {
  return readEntry(context, log, n)
}

/** The state as entry `n` left it. */
export async function stateOf({ context, log, repairs }: Shard, n: number): Promise<ShardState> {
  return repairs.soundest(await stateAt(context, log, n))
}

export function payloadIn({ context, log }: Shard, state: ShardState, signal: AbortSignal): Promise<Payload> {
  return payloadOf(context, log, state, signal)
}

/** What was uploaded for a payload and no entry names is left to collection, or deleted where there is no room for it. */
export async function dropPayload({ context, isPoisoned }: Shard, { manifest }: Payload): Promise<void> {
  const left = manifest.runs.flat().filter(({ name }) => context.uploads.has(name))
  // An entry of which nothing is known may name it.
  if (isPoisoned) context.uploads.drop(left)
  else await dropUploads(context, left, undefined)
}

/** Whether another writer's collection has condemned what was uploaded for a payload. */
export function isPayloadCondemned({ context }: Shard, { manifest }: Payload): boolean {
  return context.uploads.areCondemned(manifest.runs.flat())
}

export function pinsOf({ context, log }: Shard): Promise<StoredPin[]> {
  // One that is damaged must not hide the others; what it keeps stays, as long as it is there.
  return listKnownPins(context, log, (error: TidemarkError): void => {
    context.warn(`A tag or fork of store "${context.store}" cannot be read. ${error.message}`, error)
  })
}

/** Keeps a version. */
export async function pinVersion(shard: Shard, request: PinRequest): Promise<StoredPin> {
  shard.assertWritable()
  return putPin(shard.context, shard.log, () => shard.state, request)
}

export async function unpin(shard: Shard, pins: readonly StoredPin[]): Promise<void> {
  shard.assertWritable()
  await shard.context.storage.blobs.delete(pins.map(({ blob }) => blob))
}

/** Makes a store of its own from a version. */
export async function forkVersion(
  shard: Shard,
  name: string,
  source: Pick<PinRequest, 'state' | 'from' | 'isHeld'>,
): Promise<void> {
  shard.assertWritable()
  await createFork(shard.context, shard.log, () => shard.state, name, source)
}
