/**
 * Which runs to merge next: a pure function of a manifest. Runs of like size are gathered eight at a time, so a record is
 * written once per power of eight; the oldest run, the base, is rewritten only when the runs above it have reached its
 * size. Where changes hit the same keys again, it writes 2.5 times their bytes, and leveled compaction more than three times.
 */
import { FAN_IN, type Manifest, type Run } from '../../manifest/manifest.js'

/** Runs below this are all of one size. */
const SMALLEST = 64 << 10

/** Neighbouring runs, oldest first; `undefined` when nothing is worth merging. */
export function pickMerge(manifest: Manifest): readonly Run[] | undefined {
  const [base, ...above] = manifest.runs
  if (base === undefined) return undefined
  for (let tier = 0; ; tier++) {
    // Back from the newest run, as far as runs belong to this tier or a lower one. Those of a lower one that lie in between
    // go along, but do not count: a run is not to be written again for the sake of much smaller ones.
    let first = above.length
    while (first > 0 && tierOf(above[first - 1]!) <= tier) first--
    const candidates = above.slice(first)
    if (candidates.filter((run) => tierOf(run) === tier).length >= FAN_IN) {
      const all = above.reduce((sum, run) => sum + runBytes(run), 0)
      return all >= runBytes(base)
        ? manifest.runs
        : candidates.slice(0, candidates.findLastIndex((run) => tierOf(run) === tier) + 1)
    }
    if (first === 0) return undefined
  }
}

/** Below this a store is rewritten whole whenever somebody asks for it. */
const SMALL = 4 << 20
/** Part of the base that the runs above it have to reach for that otherwise. */
const WORTH = 1 / 8

/** All runs, when somebody wants the store compacted now and it is worth it. */
export function pickAll(manifest: Manifest): readonly Run[] | undefined {
  const [base, ...above] = manifest.runs
  if (base === undefined || above.length === 0) return undefined
  const size = above.reduce((sum, run) => sum + runBytes(run), 0)
  return size >= runBytes(base) * WORTH || size + runBytes(base) <= SMALL ? manifest.runs : undefined
}

function runBytes(run: Run): number {
  return run.reduce((sum, segment) => sum + segment.length, 0)
}

function tierOf(run: Run): number {
  return Math.max(0, Math.floor(Math.log2(runBytes(run) / SMALLEST) / Math.log2(FAN_IN)) + 1)
}
