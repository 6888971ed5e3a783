/**
 * Checks that two ways to one state lead to the same: a fold and the entries that it folds, a reset or a pin and the version
 * that it names. Where the two differ, each side is merged, and both are compared record by record. In memory are the tail,
 * as in every opener, and one segment of each run that differs.
 */
import { compareBytes, equalBytes } from '../bytes/compare.js'
import { toHex } from '../bytes/hex.js'
import { corrupt } from '../errors.js'
import type { Run } from '../manifest/manifest.js'
import { sameRun } from '../manifest/edits.js'
import { ArrayCursor, RunCursor, runRanges } from '../segment/cursor.js'
import { MergeCursor, type MergeSource } from '../segment/merge.js'
import { isCovered, unionRanges } from '../segment/ranges.js'
import { EVERYTHING, type KeyRange, type KeyedRecord } from '../segment/record.js'
import { WholeSegments } from '../segment/whole.js'
import { intersection } from '../engine/history/diff.js'
import type { Memtable } from '../engine/memtable.js'
import type { ShardState } from '../engine/state.js'
import type { Storage } from '../storage/contract.js'

/** The changes of one entry, by value or by reference. */
export interface Change {
  readonly memtable: Memtable | undefined
  readonly runs: readonly Run[]
}

/** A state, or a part of one: runs, and the changes after them, both oldest first. */
export interface Stack {
  readonly runs: readonly Run[]
  readonly changes: readonly Change[]
}

/** Two stacks that have to say the same. */
export interface Pair {
  readonly one: Stack
  readonly other: Stack
  /** Records that have expired by this time may be gone. */
  readonly time: number
  /**
   * The keys that are compared.
   * @default all keys
   */
  readonly bounds?: KeyRange | undefined
}

export function stackOf({ manifest, tail }: Pick<ShardState, 'manifest' | 'tail'>): Stack {
  return {
    runs: manifest.runs,
    changes: tail.map(({ memtable, references }) => ({ memtable, runs: references?.runs ?? [] })),
  }
}

/** How many runs the two have in common, and the runs that have to be read on both sides. */
export function differing({ one, other }: Pair): { readonly base: number; readonly runs: readonly Run[] } {
  let base = 0
  while (base < one.runs.length && base < other.runs.length && sameRun(one.runs[base], other.runs[base]!)) base++
  const runs = [one, other].flatMap((stack) => [...stack.runs.slice(base), ...stack.changes.flatMap((c) => c.runs)])
  return { base, runs }
}

/** Throws `CORRUPT` when the two do not say the same of a key; `problem` is the sentence around it. */
export async function checkSame(storage: Storage, pair: Pair, problem: (key: string) => string): Promise<void> {
  const { one, other, time, bounds = EVERYTHING } = pair
  const { base } = differing(pair)
  const side = async ({ runs, changes }: Stack): Promise<Side> => {
    const sources: MergeSource[] = []
    for (const run of runs.slice(base)) sources.unshift(await runSource(storage, run, bounds))
    for (const { memtable, runs: references } of changes) {
      // An entry has its changes by value or by reference, never both.
      for (const run of references) sources.unshift(await runSource(storage, run, bounds))
      if (memtable) sources.unshift(memtableSource(memtable, bounds))
    }
    return new Side(sources, base === 0, time)
  }
  const differ = (key: Uint8Array): Error => corrupt(problem(hexOf(key)))
  const [a, b] = [await side(one), await side(other)]
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

async function runSource(storage: Storage, run: Run, bounds: KeyRange): Promise<MergeSource> {
  const parts = new WholeSegments(storage)
  const ranges = (await runRanges(parts, run, bounds)).flatMap((range) => intersection(range, bounds) ?? [])
  return { cursor: new RunCursor(parts, run, { ...bounds, reverse: false }), ranges }
}

function memtableSource(memtable: Memtable, bounds: KeyRange): MergeSource {
  const slots = [...memtable.slots.values()].map(({ slot }) => slot).sort((a, b) => compareBytes(a.prefix, b.prefix))
  const ranges = slots.flatMap((slot) => memtable.ranges(slot)).flatMap((range) => intersection(range, bounds) ?? [])
  return { cursor: new ArrayCursor(slots.flatMap((slot) => memtable.sorted(slot, bounds))), ranges }
}

/** The word of one side on a key: a put, a delete, or nothing. */
type Fate = KeyedRecord | 'deleted' | undefined

/** The merge of one side. */
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
    // At the bottom a deleted key is the same as one that was never there.
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
  const hex = toHex(bytes.subarray(0, 32))
  return bytes.length > 32 ? `${hex}…` : hex
}
