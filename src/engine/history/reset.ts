/** Puts an old state in place of the present one, by the manifest that it stands on and one memtable for the changes after that. */
import { invalid } from '../../errors.js'
import { mergeOffsets } from '../../log/merge-offsets.js'
import type { OffsetMap, Position } from '../../log/offsets.js'
import { applyEdit } from '../../manifest/edits.js'
import { spliceRuns } from '../../manifest/clip.js'
import type { Manifest } from '../../manifest/manifest.js'
import { Memtable } from '../memtable.js'
import { dropUploads, foldTail } from '../compaction/run-writer.js'
import { memtableCodecs, tailBytes, type OpenLog, type ShardState } from '../state.js'

/** A state without a log: everything that a reset, a pin or a backup needs. */
export interface Payload {
  readonly manifest: Manifest
  /** Changes after the manifest; `undefined` when there are none. */
  readonly memtable: Memtable | undefined
}

/**
 * The payload of a state. Nothing is uploaded unless there is a delta by reference among its tail: what lies beneath and
 * above that can't be one memtable. Nor may that have more than `most` bytes, about.
 */
export async function payloadOf(
  { context, log }: Pick<OpenLog, 'context' | 'log'>,
  state: ShardState,
  signal: AbortSignal,
  most = Infinity,
): Promise<Payload> {
  if (tailBytes(state) > most || state.tail.some(({ references }) => references)) {
    const edit = await foldTail(context, log, state, signal)
    return { manifest: applyEdit(state.manifest, edit)!, memtable: undefined }
  }
  const memtable = new Memtable()
  for (const entry of state.tail) if (entry.memtable) memtable.absorb(entry.memtable)
  const codecs = new Map([...state.manifest.codecs, ...memtableCodecs(memtable)])
  return { manifest: { ...state.manifest, codecs }, memtable: memtable.empty ? undefined : memtable }
}

/** Segments that were uploaded for a payload and that no entry names are left to collection, or deleted where there is no room. */
export async function dropPayload(
  { context, hasEnded }: Pick<OpenLog, 'context'> & { readonly hasEnded: boolean },
  { manifest }: Payload,
): Promise<void> {
  const left = manifest.runs.flat().filter(({ name }) => context.uploads.has(name))
  // An entry of which nothing is known may name it.
  if (hasEnded) context.uploads.drop(left)
  else await dropUploads(context, left, undefined)
}

/** The chosen partitions of `theirs`, all others of `mine`. */
export function splice(mine: Payload, theirs: Payload, chosen: ReadonlySet<number>): Payload {
  const memtable = new Memtable()
  for (const [from, isChosen] of [
    [mine.memtable, false],
    [theirs.memtable, true],
  ] as const) {
    if (from) memtable.absorb(from, ({ partition }) => chosen.has(partition) === isChosen)
  }
  const { config } = mine.manifest
  const runs = spliceRuns(mine.manifest.runs, theirs.manifest.runs, chosen, config.partitions)
  const codecs = new Map([...theirs.manifest.codecs, ...mine.manifest.codecs])
  return { manifest: { ...mine.manifest, runs, codecs }, memtable: memtable.empty ? undefined : memtable }
}

/**
 * The offsets after some partitions went back: their positions go back, too. A source with one position for all of them has
 * none that fits, unless it did not move: then the caller has to say where it stands.
 */
export function spliceOffsets(
  mine: OffsetMap,
  theirs: OffsetMap,
  chosen: ReadonlySet<number> | 'all',
  given: OffsetMap,
): OffsetMap {
  if (chosen === 'all') return mergeOffsets(theirs, given, true)
  const merged = new Map<string, ReadonlyMap<number | undefined, Position>>()
  for (const source of new Set([...mine.keys(), ...theirs.keys()])) {
    const [before, after] = [theirs.get(source), mine.get(source)]
    if (before?.has(undefined) || after?.has(undefined)) {
      const isSame = before?.get(undefined) === after?.get(undefined)
      if (!isSame && !given.has(source)) {
        throw invalid(
          `restore: source "${source}" has one position for all partitions; say in \`offsets\` from where it is to be read.`,
        )
      }
      if (after) merged.set(source, after)
      continue
    }
    const positions = new Map<number | undefined, Position>()
    for (const [from, isChosen] of [
      [after, false],
      [before, true],
    ] as const) {
      for (const [partition, position] of from ?? []) {
        if (chosen.has(partition!) === isChosen) positions.set(partition, position)
      }
    }
    if (positions.size > 0) merged.set(source, new Map([...positions].sort(([a], [b]) => a! - b!)))
  }
  return mergeOffsets(merged, given, true)
}
