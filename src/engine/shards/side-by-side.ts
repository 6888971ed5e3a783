/**
 * What a child of a plan begins with: the states of its parents at their seals, each cut to the child's partitions, side by side.
 * It is a pure function, and no blob is read, written or copied for it.
 *
 * - No key is in two parents. So their runs of equal depth become one run, and the child has as many as the parent with most.
 * - What stands in the parents' tails becomes the delta of the child's first entry, as one memtable.
 * - Deltas by reference are runs already: they are laid on those of the manifest, in their order. That is right only while no
 *   memtable lies beneath them in the same tail, since that would come to lie above them. So whoever seals a log whose tail is
 *   `mixed` folds it first, and has the seal carry the fold.
 */
import { toBinary } from '../../bytes/binary.js'
import { corrupt } from '../../errors.js'
import type { Manifest, Run } from '../../manifest/manifest.js'
import { clip, joined, overlap, type PartitionRange } from '../../manifest/clip.js'
import { splitId } from '../../manifest/codec-id.js'
import { Memtable } from '../memtable.js'
import { runsOf, tailCodecs, type ShardState, type TailEntry } from '../state.js'

/** A parent at its seal. */
export interface Parent {
  readonly range: PartitionRange
  readonly state: Pick<ShardState, 'manifest' | 'tail'>
}

/** The state that a child begins with: a manifest, and the changes after it. */
export interface Beginning {
  readonly manifest: Manifest
  readonly memtable: Memtable | undefined
}

/** Whether a tail has changes beneath a delta by reference: it has to be folded before its log is sealed. */
export function isMixed({ tail }: Pick<ShardState, 'tail'>): boolean {
  let lies = false
  for (const { memtable, references } of tail) {
    if (lies && references && references.runs.length > 0) return true
    lies ||= memtable !== undefined && !memtable.empty
  }
  return false
}

/** The beginning of a child of these partitions. The parents have them all; none of their tails is mixed. */
export function sideBySide(parents: readonly Parent[], range: PartitionRange): Beginning {
  const cut = parents.flatMap(({ range: own, state }) => {
    const both = overlap(own, range)
    return both ? [{ range: both, state }] : []
  })
  cut.sort((a, b) => a.range[0] - b.range[0])
  if (cut.some(({ state }) => isMixed(state))) {
    throw corrupt('A log was sealed without the fold that its children need; what was written for it is still there.')
  }
  const memtable = new Memtable()
  for (const { range: own, state } of cut) {
    const counts = ({ partition }: { partition: number }): boolean => partition >= own[0] && partition <= own[1]
    for (const entry of state.tail) if (entry.memtable) memtable.absorb(entry.memtable, counts)
  }
  const codecs = codecsOf(cut.map(({ state }) => state))
  for (const changes of memtable.slots.values()) changes.codec = codecs.get(toBinary(changes.slot.table))!
  const stacks = cut.map(({ range: own, state }) => stackOf(runsOf(state), own))
  const { config, covers } = cut[0]!.state.manifest
  const manifest = { config, covers, codecs, runs: besides(stacks) }
  return { manifest, memtable: memtable.empty ? undefined : memtable }
}

/** The runs of one parent that have anything of these partitions, oldest first. */
export function stackOf(runs: readonly Run[], range: PartitionRange): Run[] {
  const cut = runs.map((run) => run.flatMap((segment) => clip(segment, range) ?? []))
  return cut.filter((run) => run.length > 0)
}

/** Stacks of runs of neighbouring partitions, in their order, as one stack. */
export function besides(stacks: readonly (readonly Run[])[]): Run[] {
  const depth = Math.max(...stacks.map((runs) => runs.length))
  return Array.from({ length: depth }, (_, at) => joined(stacks.flatMap((runs) => runs[at] ?? [])))
}

/**
 * Codec ids by table. Parents may have come unequally far with the versions of a table's values: the highest one counts, as every
 * value says its own, and a program that knows only lower ones has to refuse the table.
 */
export function codecsOf(
  states: readonly {
    readonly manifest: Pick<Manifest, 'codecs'>
    readonly tail: readonly Pick<TailEntry, 'memtable' | 'references'>[]
  }[],
): ReadonlyMap<string, string> {
  const all = new Map<string, string>()
  for (const { manifest, tail } of states) {
    const own = new Map([...manifest.codecs, ...tail.flatMap((entry) => [...tailCodecs(entry)])])
    for (const [table, id] of own) {
      const known = all.get(table)
      if (known === undefined || splitId(id).version > splitId(known).version) all.set(table, id)
    }
  }
  return all
}
