/**
 * Repair: a state that stands on damaged segments is rebuilt from what it came from. A fold changes nothing, so the manifest
 * before it and the deltas since then make the same state; a reset is rebuilt from the version that it names (R11). These are functions from a state to an equal one; nothing is written.
 */
import { equalBytes } from '../../bytes/compare.js'
import { corrupt, isExpired, isTidemarkError } from '../../errors.js'
import { spliceRuns } from '../../manifest/clip.js'
import type { Manifest, Run } from '../../manifest/manifest.js'
import type { LogContext, ShardContext } from '../context.js'
import { Memtable } from '../memtable.js'
import { readEntries, readEntry, stateAt } from '../history/past.js'
import { applyEntry, segmentsOf, type AppliedEntry, type ShardState, type TailEntry } from '../state.js'

/** The ground of a repair: segments that must not be used, and entries that are there to be used instead. */
export interface Ground {
  readonly ctx: ShardContext
  readonly log: LogContext
  /** Names of segments. */
  readonly damaged: { has(name: string): boolean }
  /** Entries up to here are gone, whatever the storage still holds of them. */
  readonly trim: number
}

/** Manifest and tail of a state, without what its header carries. */
type Base = Pick<ShardState, 'manifest' | 'tail'>

/** The same state on an older manifest that lists nothing damaged. Throws when there is none. */
export async function repairedState(ground: Ground, state: ShardState): Promise<ShardState> {
  const { ctx, log } = ground
  // A pin keeps a state without saying how it came about; as long as the log goes back that far, it says so.
  if (state.carried.manifestAt === 0) return repairedState(ground, await keptState(ground, state.head))
  const { manifest, tail, from, at } = await baseOf(ground, state.carried.manifestAt)
  const applied = await readEntries(ctx, log, Math.min(from, at.entry.n), Math.max(state.head, at.entry.n))
  // An entry that was written late at a number that is trimmed since is no part of the history.
  for (const [i, { entry, hash }] of applied.entries()) {
    const parent = applied[i + 1]?.entry.parent
    const isSame = entry.n !== at.entry.n || equalBytes(hash, at.hash)
    if (!isSame || (parent && !equalBytes(parent, hash)))
      throw corrupt(`Entry ${entry.n + 1} does not follow entry ${entry.n}.`)
  }
  // Their manifests are left out: they list what is damaged.
  const rebuilt = applied
    .filter(({ entry }) => entry.n >= from && entry.n <= state.head)
    .reduce<ShardState>((before, entry) => applyEntry(before, { ...entry, manifest: undefined }), {
      ...state,
      head: from - 1,
      headHash: undefined,
      manifest,
      tail,
    })
  const repaired = { ...state, manifest, tail: rebuilt.tail, isRepaired: true }
  const left = segmentsOf(repaired).find(({ name }) => ground.damaged.has(name))
  if (left) throw corrupt(`Segment ${left.name} holds the changes of a commit that no other segment has.`)
  return repaired
}

/** The newest manifest, in entry `n` or before it, that lists nothing damaged; the entries after it begin with `from`. */
async function baseOf(ground: Ground, n: number): Promise<Base & { from: number; at: AppliedEntry }> {
  const { ctx, log, damaged, trim } = ground
  for (let number = n; ;) {
    const at = await readEntry(ctx, log, number)
    const { entry, manifest } = at
    if (manifest === undefined) throw corrupt(`Entry ${number} has no manifest.`)
    if (!manifest.runs.flat().some(({ name }) => damaged.has(name))) {
      if (manifest.covers < trim) throw corrupt(`The entries after ${manifest.covers} were collected.`)
      return { manifest, tail: [], from: manifest.covers + 1, at }
    }
    if (entry.kind === 'reset') return { ...(await resetBase(ground, at, manifest)), from: number + 1, at }
    number = await manifestBefore(ground, number)
  }
}

async function manifestBefore({ ctx, log, trim }: Ground, n: number): Promise<number> {
  for (let number = n - 1; number > trim; number--) {
    const { carried } = (await readEntry(ctx, log, number)).entry
    // Only a fence that was written blindly carries nothing.
    if (carried === undefined) continue
    if (carried.manifestAt <= trim) break
    return carried.manifestAt
  }
  throw corrupt(`No fold before entry ${n} is left.`)
}

/** The state that a reset put in place, put together once more from the versions that it was made of. */
async function resetBase(ground: Ground, { entry }: AppliedEntry, manifest: Manifest): Promise<Base> {
  const { n, origin } = entry
  if (origin?.log !== ground.log.path) throw corrupt(`Entry ${n} took its state over from another store.`)
  const theirs = await keptState(ground, origin.version)
  if (origin.partitions.length === 0) {
    return {
      manifest: { ...manifest, runs: theirs.manifest.runs },
      tail: theirs.tail.map((changes) => ({ ...changes, n })),
    }
  }
  const mine = await keptState(ground, n - 1)
  const chosen = new Set(origin.partitions)
  const { partitions } = manifest.config
  const only = (tail: ShardState['tail'], isChosen: boolean): TailEntry[] =>
    tail.map(({ memtable, references, ...changes }) => {
      const clip = (runs: readonly Run[]): Run[] =>
        isChosen ? spliceRuns([], runs, chosen, partitions) : spliceRuns(runs, [], chosen, partitions)
      const own = new Memtable()
      if (memtable) own.absorb(memtable, ({ partition }) => chosen.has(partition) === isChosen)
      return {
        ...changes,
        n,
        memtable: own.empty ? undefined : own,
        references: references && { ...references, runs: clip(references.runs) },
      }
    })
  return {
    manifest: { ...manifest, runs: spliceRuns(mine.manifest.runs, theirs.manifest.runs, chosen, partitions) },
    tail: [...only(mine.tail, false), ...only(theirs.tail, true)],
  }
}

/** The state as an entry left it, without what is damaged. */
async function keptState(ground: Ground, n: number): Promise<ShardState> {
  const { ctx, log, damaged, trim } = ground
  if (n <= trim) throw corrupt(`Version ${n} was collected.`)
  const state = await stateAt(ctx, log, n)
  if (segmentsOf(state).some(({ name }) => damaged.has(name))) return repairedState(ground, state)
  if (state.manifest.covers < trim) throw corrupt(`The entries after ${state.manifest.covers} were collected.`)
  return state
}

/** Whether an attempt to repair failed for good: what is missing then will not come back. */
export function isFinal(error: unknown): boolean {
  return isExpired(error) || (isTidemarkError(error) && error.code === 'CORRUPT')
}
