/**
 * Edits: pure functions from a manifest to the next. An edit is prepared beside commits (its segments are uploaded first)
 * and applied when the entry that carries it is built; one whose ground has shifted meanwhile is dropped.
 */
import type { Manifest, Run } from './manifest.js'

export { encodeManifest, encodeReferences } from './encode.js'

/** A fold of the tail: the state after `from`, up to `covers`, as more runs. */
export interface FoldEdit {
  readonly kind: 'fold'
  readonly from: number
  readonly covers: number
  /** Oldest first; none when the folded entries held no changes. Deltas by reference are listed as they are. */
  readonly runs: readonly Run[]
  /** Those of the runs that were written for this. */
  readonly written?: readonly Run[]
  readonly codecs: ReadonlyMap<string, string>
}

/** Neighbouring runs replaced by their merge. */
export interface MergeEdit {
  readonly kind: 'merge'
  readonly inputs: readonly Run[]
  /** Empty when nothing of them was left. */
  readonly output: Run
  /** Nothing older lay beneath them, and so what they had deleted is forgotten. */
  readonly bottom: boolean
}

export type Edit = FoldEdit | MergeEdit

/** The manifest after the edit; `undefined` when it no longer fits (R1, R2). */
export function applyEdit(manifest: Manifest, edit: Edit): Manifest | undefined {
  if (edit.kind === 'fold') {
    // A reset or another fold in between has moved what the fold began at.
    if (manifest.covers !== edit.from) return undefined
    const codecs = new Map([...manifest.codecs, ...edit.codecs])
    return { ...manifest, covers: edit.covers, codecs, runs: [...manifest.runs, ...edit.runs] }
  }
  const first = manifest.runs.findIndex((run) => sameRun(run, edit.inputs[0]!))
  if (first < 0 || !edit.inputs.every((input, i) => sameRun(manifest.runs[first + i], input))) return undefined
  // A reset may have brought something older back.
  if (edit.bottom && first > 0) return undefined
  const runs = [...manifest.runs]
  runs.splice(first, edit.inputs.length, ...(edit.output.length ? [edit.output] : []))
  return { ...manifest, runs }
}

/** Segment names are unique, and so a run is known by them; clips have to be the same, too. */
export function sameRun(a: Run | undefined, b: Run): boolean {
  return (
    a !== undefined &&
    a.length === b.length &&
    a.every((s, i) => s.name === b[i]!.name && s.clip?.[0] === b[i]!.clip?.[0] && s.clip?.[1] === b[i]!.clip?.[1])
  )
}
