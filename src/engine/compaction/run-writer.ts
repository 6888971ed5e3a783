/** Writes runs: a fold turns the tail into one, a merge turns neighbouring ones into one. Both only upload. */
import { isFull, throwIfAborted } from '../../errors.js'
import { ID_BYTES } from '../../log/entry.js'
import type { Edit, FoldEdit, MergeEdit } from '../../manifest/edits.js'
import { refOf } from '../../manifest/ref.js'
import type { CodedRuns, Manifest, Run, SegmentRef } from '../../manifest/manifest.js'
import { segmentName } from '../../manifest/names.js'
import { RunCursor, runRanges, type Cursor } from '../../segment/cursor.js'
import { MergeCursor } from '../../segment/merge.js'
import { unionRanges } from '../../segment/ranges.js'
import { EVERYTHING, type KeyRange } from '../../segment/record.js'
import { SiftingCursor } from '../../segment/sift.js'
import { WholeSegments } from '../../segment/whole.js'
import { writeSegments, type BuiltSegment } from '../../segment/writer.js'
import { compareBytes } from '../../bytes/compare.js'
import type { LogContext, ShardContext } from '../context.js'
import { Memtable } from '../memtable.js'
import { memtableCodecs, tailCodecs, type ShardState } from '../state.js'
import { BucketsCursor, deal, type Bucket } from './buckets.js'

/**
 * How long to work, and on how many blocks, before other tasks get their turn. A page draws in between, and has to deflate what a slice
 * leaves behind. Elsewhere longer slices let a fold keep up with commits that follow one another.
 */
const SLICE_MS = 'document' in globalThis ? 1.5 : 3
const SLICE_BLOCKS = 64

/**
 * The tail of `state` as runs: one for all its memtables, or several around deltas by reference, which are listed as they are.
 * Entries without changes need no segment.
 */
export async function foldTail(
  ctx: ShardContext,
  log: LogContext,
  state: ShardState,
  signal: AbortSignal,
): Promise<FoldEdit> {
  // The commit that brought the tail to its bound is acknowledged first.
  await ctx.clock.pause()
  const runs: Run[] = []
  const written: Run[] = []
  let merged = new Memtable()
  const pace = pacer(ctx, signal)
  const write = async (): Promise<void> => {
    if (merged.empty) return
    const oldest = state.manifest.runs.length + runs.length === 0
    const run = await writeMemtable(ctx, log, merged, oldest, state.carried.versionTime, signal)
    if (run.length > 0) {
      runs.push(run)
      written.push(run)
    }
    merged = new Memtable()
  }
  try {
    for (const { memtable, references } of state.tail) {
      if (memtable) merged.absorb(memtable)
      await pace()
      if (references === undefined) continue
      await write()
      runs.push(...references.runs)
    }
    await write()
  } catch (error) {
    await dropUploads(ctx, written.flat(), error)
    throw error
  }
  const codecs = new Map(state.tail.flatMap((entry) => [...tailCodecs(entry)]))
  return { kind: 'fold', from: state.manifest.covers, covers: state.head, runs, written, codecs }
}

/** The changes of a commit that are too many for its entry, in segments of their own, to which the entry refers. */
export class LargeCommit {
  readonly #ctx: ShardContext
  readonly #log: LogContext
  readonly #signal: AbortSignal
  /** The changes of the first `count` in the queue. */
  #uploaded: { readonly references: CodedRuns; readonly count: number } | undefined

  constructor(ctx: ShardContext, log: LogContext, signal: AbortSignal) {
    this.#ctx = ctx
    this.#log = log
    this.#signal = signal
  }

  /** How many in the queue the upload is of: no other may join them. */
  get count(): number | undefined {
    return this.#uploaded?.count
  }

  get segments(): readonly SegmentRef[] {
    return this.#uploaded?.references.runs.flat() ?? []
  }

  /** Uploads the changes, unless that was done for an entry that lost its number. */
  async upload(memtable: Memtable, time: number, count: number): Promise<CodedRuns> {
    // Before anything names them, another writer's collection may have condemned them.
    if (this.#ctx.uploads.areCondemned(this.segments)) this.drop()
    this.#uploaded ??= { references: await this.#write(memtable, time), count }
    return this.#uploaded.references
  }

  /** No entry will name them. */
  drop(): void {
    this.#ctx.uploads.drop(this.segments)
    this.settled()
  }

  /** An entry names them. */
  settled(): void {
    this.#uploaded = undefined
  }

  async #write(memtable: Memtable, time: number): Promise<CodedRuns> {
    const run = await writeMemtable(this.#ctx, this.#log, memtable, false, time, this.#signal)
    return { codecs: memtableCodecs(memtable), runs: run.length > 0 ? [run] : [] }
  }
}

/** A memtable as a run. `oldest`: nothing older lies beneath it. `time`: what has expired by then is deleted. */
async function writeMemtable(
  ctx: ShardContext,
  log: LogContext,
  memtable: Memtable,
  oldest: boolean,
  time: number,
  signal: AbortSignal,
): Promise<Run> {
  // Slots lie in the order of their prefixes, with which all their keys begin.
  const slots = Array.from(memtable.slots.values(), ({ slot }) => slot).sort((a, b) => compareBytes(a.prefix, b.prefix))
  const pace = pacer(ctx, signal)
  const buckets: Bucket[] = []
  for (const { id, prefix } of slots) buckets.push(...(await deal(prefix, memtable.slots.get(id)!.points, pace)))
  const records = new BucketsCursor(buckets)
  // Over nothing there is nothing that a range could still hide.
  const ranges = oldest ? [] : unionRanges(slots.flatMap((slot) => memtable.ranges(slot)))
  return writeRun(ctx, log, kept(records, oldest, time), ranges, signal)
}

/** The merge of neighbouring runs, oldest first. */
export async function mergeRuns(
  ctx: ShardContext,
  log: LogContext,
  manifest: Manifest,
  versionTime: number,
  inputs: readonly Run[],
  signal: AbortSignal,
): Promise<MergeEdit> {
  const newestFirst = [...inputs].reverse()
  const ranges = await Promise.all(newestFirst.map(async (run) => runRanges(ctx.cache, run, EVERYTHING)))
  const sources = newestFirst.map((run, i) => ({
    cursor: new RunCursor(new WholeSegments(ctx.storage), run, { ...EVERYTHING, reverse: false }),
    ranges: ranges[i]!,
  }))
  const oldest = inputs[0] === manifest.runs[0]
  const records = kept(new MergeCursor(sources), oldest, versionTime)
  const output = await writeRun(ctx, log, records, oldest ? [] : unionRanges(ranges.flat()), signal)
  return { kind: 'merge', inputs, output, bottom: oldest }
}

/** Asked after each step, it gives other tasks their turn when the slice is over. */
function pacer({ clock }: ShardContext, signal: AbortSignal): () => Promise<void> | undefined {
  let sliceEnd = clock.monotonic() + SLICE_MS
  let steps = 0
  return () => {
    throwIfAborted(signal)
    if (++steps < SLICE_BLOCKS && clock.monotonic() < sliceEnd) return undefined
    return clock.pause().then(() => {
      sliceEnd = clock.monotonic() + SLICE_MS
      steps = 0
    })
  }
}

async function writeRun(
  ctx: ShardContext,
  log: LogContext,
  records: Cursor,
  ranges: readonly KeyRange[],
  signal: AbortSignal,
): Promise<Run> {
  const run: SegmentRef[] = []
  let name = ''
  const upload = async (built: BuiltSegment): Promise<void> => {
    throwIfAborted(signal)
    const id = ctx.clock.random(ID_BYTES)
    name = segmentName(log.path, id)
    ctx.uploads.begin(name)
    await ctx.storage.blobs.put(name, built.bytes, { signal })
    ctx.counters.segmentsWritten++
    const segment = refOf(built, log.path, id)
    await ctx.uploads.done(segment, built.bytes)
    run.push(segment)
  }
  try {
    await writeSegments(log.platform, records, ranges, ctx.segments, upload, pacer(ctx, signal))
  } catch (error) {
    await dropUploads(ctx, [...run, { name }], error)
    throw error
  }
  return run
}

/** The segments that were written for edits. */
export function writtenFor(edits: readonly Edit[]): readonly SegmentRef[] {
  return edits.flatMap((edit) => (edit.kind === 'merge' ? edit.output : (edit.written?.flat() ?? [])))
}

/**
 * No entry that was written names these segments, and none will. Where there is no room they would take what is freed, and so
 * they are deleted at once; else collection does that.
 */
export async function dropUploads(
  { uploads, storage }: ShardContext,
  segments: readonly Pick<SegmentRef, 'name'>[],
  cause: unknown,
): Promise<void> {
  uploads.drop(segments)
  uploads.isTight ||= isFull(cause)
  const names = segments.map(({ name }) => name).filter((name) => name !== '')
  // Collection deletes what this cannot.
  if (uploads.isTight && names.length > 0) await storage.blobs.delete(names).catch(() => undefined)
}

/**
 * Leaves out what need not be kept: a put that had expired by the time of the covered version is no more than a tombstone, and
 * a tombstone over the oldest data is nothing. Anywhere else it still hides something older (R9).
 */
function kept(from: Cursor, oldest: boolean, time: number): Cursor {
  return new SiftingCursor(from, (record) => {
    const isExpired = record.expires > 0 && record.expires <= time
    const left = isExpired ? { key: record.key, bytes: undefined, expires: 0 } : record
    return oldest && left.bytes === undefined ? undefined : left
  })
}
