/**
 * A fold must not change the state: what a manifest adds is merged and held against the merge of what it replaces, record
 * by record. In memory are the tail, as in every opener, and one segment of each run that differs.
 */
import { compareBytes, equalBytes } from '../bytes/compare.js'
import { corrupt } from '../errors.js'
import type { Run } from '../manifest/manifest.js'
import { sameRun } from '../manifest/edits.js'
import { ArrayCursor, RunCursor, runRanges } from '../segment/cursor.js'
import { MergeCursor, isCovered, unionRanges, type MergeSource } from '../segment/merge.js'
import type { KeyRange, KeyedRecord } from '../segment/record.js'
import { WholeSegments } from '../segment/whole.js'
import type { Layer } from '../shard/layer.js'
import type { Blobs } from '../storage/contract.js'

/** What one entry changed, by value or by reference. */
export interface Change {
  readonly layer: Layer | undefined
  readonly runs: readonly Run[]
}

export interface Fold {
  readonly before: readonly Run[]
  /** Those that the new manifest covers and the old one does not, oldest first. */
  readonly changes: readonly Change[]
  readonly after: readonly Run[]
  /** What has expired by then may be gone. */
  readonly time: number
}

const EVERYTHING = { lower: new Uint8Array(0), upper: Uint8Array.of(0xff, 0xff, 0xff), reverse: false }

/** The runs that the comparison has to read, on both sides. */
export function differing({ before, after, changes }: Fold): {
  old: readonly Run[]
  new: readonly Run[]
  base: number
} {
  let base = 0
  while (base < before.length && base < after.length && sameRun(before[base], after[base]!)) base++
  return { old: [...before.slice(base), ...changes.flatMap(({ runs }) => runs)], new: after.slice(base), base }
}

/** Throws `CORRUPT` when the state with the new manifest is not that with the old one and the changes. */
export async function checkFold(blobs: Blobs, fold: Fold, what: string): Promise<void> {
  const { base, new: added } = differing(fold)
  const old: MergeSource[] = []
  for (const run of fold.before.slice(base)) old.unshift(await runSource(blobs, run))
  for (const { layer, runs } of fold.changes) {
    // An entry has its changes in one of the two ways.
    for (const run of runs) old.unshift(await runSource(blobs, run))
    if (layer) old.unshift(layerSource(layer))
  }
  const folded: MergeSource[] = []
  for (const run of added) folded.unshift(await runSource(blobs, run))
  const sides = [new Side(old, base === 0, fold.time), new Side(folded, base === 0, fold.time)] as const
  const differ = (key: Uint8Array): Error =>
    corrupt(`${what} changes what it folds: key ${hexOf(key)} is not the same with its manifest and without it.`)
  const [a, b] = sides
  if (base > 0) compareRanges(a.ranges, b.ranges, differ)
  for (;;) {
    await a.settle()
    await b.settle()
    const key = lesserKey(a.current, b.current)
    if (key === undefined) return
    if (!sameFate(a.fate(key), b.fate(key))) throw differ(key)
    await a.pass(key)
    await b.pass(key)
  }
}

async function runSource(blobs: Blobs, run: Run): Promise<MergeSource> {
  const parts = new WholeSegments(blobs)
  return { cursor: new RunCursor(parts, run, EVERYTHING), ranges: await runRanges(parts, run, EVERYTHING) }
}

function layerSource(layer: Layer): MergeSource {
  const slots = [...layer.slots.values()].map(({ slot }) => slot).sort((a, b) => compareBytes(a.prefix, b.prefix))
  const records = slots.flatMap((slot) => layer.sorted(slot, EVERYTHING))
  return { cursor: new ArrayCursor(records), ranges: slots.flatMap((slot) => layer.ranges(slot)) }
}

/** What a side says of a key: a put, that it is deleted, or nothing. */
type Fate = KeyedRecord | 'deleted' | undefined

/** One of the two merges. */
class Side {
  readonly #merge: MergeCursor
  readonly #oldest: boolean
  readonly #time: number
  readonly ranges: readonly KeyRange[]
  #started = false

  constructor(sources: readonly MergeSource[], oldest: boolean, time: number) {
    this.#merge = new MergeCursor(sources)
    this.ranges = unionRanges(sources.flatMap(({ ranges }) => ranges))
    this.#oldest = oldest
    this.#time = time
  }

  get current(): KeyedRecord | undefined {
    return this.#merge.current
  }

  async settle(): Promise<void> {
    if (this.#started) return
    this.#started = true
    await this.#merge.next()
  }

  async pass(key: Uint8Array): Promise<void> {
    const { current } = this.#merge
    if (current === undefined || compareBytes(current.key, key) !== 0) return
    const step = this.#merge.next()
    if (step) await step
  }

  fate(key: Uint8Array): Fate {
    const { current } = this.#merge
    const own = current !== undefined && compareBytes(current.key, key) === 0
    const lives = own && current.bytes !== undefined && !(current.expires > 0 && current.expires <= this.#time)
    if (lives) return current
    // Over nothing it is the same whether a key was deleted or never there.
    return !this.#oldest && (own || isCovered(this.ranges, key)) ? 'deleted' : undefined
  }
}

function sameFate(a: Fate, b: Fate): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b
  return a.expires === b.expires && equalBytes(a.bytes!, b.bytes!)
}

function compareRanges(a: readonly KeyRange[], b: readonly KeyRange[], differ: (key: Uint8Array) => Error): void {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [x, y] = [a[i], b[i]]
    if (!x || !y || !equalBytes(x.lower, y.lower) || !equalBytes(x.upper, y.upper)) throw differ((x ?? y)!.lower)
  }
}

function lesserKey(a: KeyedRecord | undefined, b: KeyedRecord | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return (a ?? b)?.key
  return compareBytes(a.key, b.key) <= 0 ? a.key : b.key
}

function hexOf(bytes: Uint8Array): string {
  const hex = Array.from(bytes.subarray(0, 32), (byte) => byte.toString(16).padStart(2, '0')).join('')
  return bytes.length > 32 ? `${hex}…` : hex
}
