/** The logs in which a handle's versions and tags are kept: its own, and those that this came of by splits and merges. */
import { invalid, isExpired } from '../errors.js'
import { Part } from '../part.js'
import type { Origin } from '../log/entry.js'
import { putPin } from '../engine/history/pin-version.js'
import type { StoredPin } from '../engine/history/pins.js'
import type { Descendant, PastLog } from '../engine/shards/lineage.js'
import type { FoundPart } from '../engine/shards/moments.js'
import { segmentsOf, type ShardState } from '../engine/state.js'

const lineages = new Part(() => import('../engine/shards/lineage.js'))
const holds = new Part(() => import('../engine/shards/holds.js'))

/** One of them. */
export interface OneLog {
  readonly log: PastLog
  /** Its partitions, where the store was split. */
  readonly shard: { readonly first: number; readonly last: number } | undefined
  /** It was sealed, and others may collect it at any time. */
  readonly isSealed: boolean
}

/** All of them, the handle's own first. */
export async function logsOf(shard: Descendant): Promise<readonly OneLog[]> {
  if (shard.state.of === undefined && shard.state.carried.own === undefined)
    return [{ log: shard, shard: undefined, isSealed: false }]
  return lineages.use(async ({ allOf, lineageOf }) => {
    const all = allOf(await lineageOf(shard))
    return Promise.all(
      all.map(async (kin) => {
        const { first, last, sealedAt } = kin
        return { log: await kin.open(), shard: { first, last }, isSealed: sealedAt !== undefined }
      }),
    )
  })
}

/** Where the state of a restore comes from: of several logs, the one with its first partitions. */
export function originOf(
  { log }: PastLog,
  { carried }: ShardState,
  parts: readonly FoundPart[] | undefined,
  partitions: readonly number[],
): Origin {
  const { of, state } = parts?.[0] ?? { of: { log }, state: { carried } }
  return { log: of.log.path, version: state.carried.version, partitions }
}

/** Holds for what a restore takes over from other logs. */
export interface Foreign {
  /** Puts a hold into each of them for the entry of this number, and lets go of those for another one. */
  hold(n: number): Promise<void>
  release(): Promise<void>
}

export async function acrossSeals(
  shard: PastLog & { readonly hasEnded: boolean },
  parts: readonly Pick<FoundPart, 'of' | 'state' | 'from'>[],
): Promise<Foreign | undefined> {
  // A tag of its own log may go without an entry that says so, and with it what holds segments of logs before a seal.
  const isNamedBeyond = ({ state, from }: (typeof parts)[number]): boolean =>
    from !== undefined && segmentsOf(state).some(({ log }) => log !== shard.log.path)
  const foreign = parts.filter((part) => part.of !== shard || isNamedBeyond(part))
  if (foreign.length === 0) return undefined
  const { holdFor } = await holds.load()
  let held: Awaited<ReturnType<typeof holdFor>>[] = []
  const releaseAll = async (those: typeof held): Promise<void> => {
    // An entry of which nothing is known may still land.
    for (const hold of those) await hold.release(shard.hasEnded ? 'unknown' : 'committed')
  }
  return {
    async hold(n) {
      const before = held
      held = []
      for (const { of, state, from } of foreign) {
        held.push(await holdFor(of, state, { path: shard.log.path, n }, from))
      }
      await releaseAll(before)
    },
    release: () => releaseAll(held),
  }
}

/** Tags a version of several logs, or of one before a seal: each part is kept in its own log. */
export async function pinParts(
  name: string,
  ttlMs: number,
  parts: readonly FoundPart[],
): Promise<readonly StoredPin[]> {
  const unfolded = parts.find(({ of, state }) => of.state.seal && state.tail.some(({ references }) => references))
  if (unfolded) {
    throw invalid(
      `Version ${unfolded.state.carried.version} holds a large commit that was not folded before the store was split or merged, and can't be tagged any more. Tag another version, or restore it first.`,
    )
  }
  const pins: StoredPin[] = []
  try {
    for (const { of, state, from } of parts) {
      pins.push(await putPin(of, { kind: 'tag', name, ttlMs, state, from }))
    }
    return pins
  } catch (error) {
    const [part] = parts
    await part!.of.context.storage.blobs.delete(pins.map(({ blob }) => blob)).catch(() => undefined)
    throw error
  }
}

/** What a log still has to say; nothing when it was collected meanwhile, as those are that were sealed. */
export async function* unlessCollected<T>({ isSealed }: OneLog, all: AsyncIterable<T>): AsyncGenerator<T, void> {
  try {
    yield* all
  } catch (error) {
    if (!isSealed || !isExpired(error)) throw error
  }
}
