/**
 * A manifest: the complete list of segments that make up the state up to the entry it covers, and what is fixed for the
 * store (docs/format.md, "Manifests"). It is an immutable value; edits.ts has the functions from one to the next, encode.ts
 * its bytes.
 */
import { toBinary } from '../bytes/binary.js'
import { compareBytes } from '../bytes/compare.js'
import { ENVELOPE_HEAD, ENVELOPE_TAIL } from '../bytes/envelope.js'
import { HASH_BYTES } from '../bytes/hash.js'
import { ByteReader } from '../bytes/reader.js'
import { unsupported } from '../errors.js'
import { MAX_PARTITIONS } from '../log/delta.js'
import { checkLogPath, segmentName } from './names.js'

/** A segment as manifests name it. */
export interface SegmentRef {
  readonly id: Uint8Array
  /** Path of the log under which the blob lies: the store's own, or that of a store it was forked from. */
  readonly log: string
  readonly name: string
  readonly length: number
  readonly indexLength: number
  readonly filterLength: number
  readonly rawBytes: number
  readonly records: number
  readonly tombstones: number
  readonly ranges: number
  /** Earliest expiry in it, 0 when nothing in it expires. */
  readonly expires: number
  readonly hash: Uint8Array
  /** Bounds of its keys: cut to 64 bytes, the lower one down and the upper one up. */
  readonly lower: Uint8Array
  readonly upper: Uint8Array
  /** Only these partitions of it count, first to last; `undefined`: all. */
  readonly clip: readonly [number, number] | undefined
}

/** Segments of one age, in key order, no key in two of them. */
export type Run = readonly SegmentRef[]

/** How many runs of one size are merged; with no more than so many in all there is nothing to merge. */
export const FAN_IN = 8

export interface StoreConfig {
  readonly partitions: number
  readonly job: string | undefined
  /** When the store was created, milliseconds since the epoch. */
  readonly created: number
  /** The store that it was forked from. */
  readonly parent?: string | undefined
}

export interface Manifest {
  readonly config: StoreConfig
  /** Everything up to this entry is in the runs. */
  readonly covers: number
  /** Codec ids by table (its bytes as `toBinary` writes them). */
  readonly codecs: ReadonlyMap<string, string>
  /** Oldest first. */
  readonly runs: readonly Run[]
}

export const REF_FLAG_CLIPPED = 1
/** The numbers of a segment, in the order in which they stand there. */
export const SIZES = [
  'length',
  'indexLength',
  'filterLength',
  'rawBytes',
  'records',
  'tombstones',
  'ranges',
  'expires',
] as const
type SizeField = (typeof SIZES)[number]

/** Runs and the codecs of the tables in them: all of a manifest that a delta by reference has, too. */
export type CodedRuns = Pick<Manifest, 'codecs' | 'runs'>

/** As much of a state as says which segments it reads. */
export interface SegmentSource {
  readonly manifest: Manifest
  readonly tail: readonly { readonly references: CodedRuns | undefined }[]
}

export function decodeReferences(bytes: Uint8Array, ownLog: string, what: string): CodedRuns {
  const r = new ByteReader(bytes, what)
  const runs = readRuns(r, ownLog, what)
  r.end()
  return runs
}

export function decodeManifest(bytes: Uint8Array, ownLog: string, what: string): Manifest {
  const r = new ByteReader(bytes, what)
  const covers = r.varint()
  const partitions = r.varint()
  if (partitions < 1 || partitions > MAX_PARTITIONS) r.fail(`${partitions} partitions`)
  const created = r.varint()
  const flags = r.u8()
  if (flags > 3) throw unsupported(`${what} holds flags ${flags}`)
  const job = flags & 1 ? r.string() : undefined
  const parent = flags & 2 ? r.string() : undefined
  const runs = readRuns(r, ownLog, what)
  r.end()
  return { config: { partitions, job, created, parent }, covers, ...runs }
}

function readRuns(r: ByteReader, ownLog: string, what: string): CodedRuns {
  const codecs = new Map<string, string>()
  for (let left = r.count(2); left > 0; left--) {
    const table = r.bytes()
    codecs.set(toBinary(table), r.string())
  }
  const logs = [ownLog]
  for (let left = r.count(4); left > 0; left--) logs.push(checkLogPath(r.string()))
  const runs: Run[] = []
  for (let left = r.count(1); left > 0; left--) runs.push(readRun(r, logs, what))
  return { codecs, runs }
}

function readRun(r: ByteReader, logs: readonly string[], what: string): Run {
  const run: SegmentRef[] = []
  for (let left = r.count(40); left > 0; left--) {
    const id = r.raw(16)
    const log = logs[r.varint()] ?? r.fail('a segment of an unknown log')
    const flags = r.u8()
    if (flags > REF_FLAG_CLIPPED) throw unsupported(`${what} holds segment flags ${flags}`)
    const sizes = Object.fromEntries(SIZES.map((field) => [field, r.varint()])) as Record<SizeField, number>
    const hash = r.raw(HASH_BYTES)
    const lower = r.bytes()
    const upper = r.bytes()
    const clip = flags & REF_FLAG_CLIPPED ? ([r.varint(), r.varint()] as const) : undefined
    if (clip && (clip[0] > clip[1] || clip[1] >= MAX_PARTITIONS)) r.fail('an impossible segment')
    if (
      sizes.indexLength + sizes.filterLength + ENVELOPE_HEAD + ENVELOPE_TAIL > sizes.length ||
      compareBytes(lower, upper) > 0
    )
      r.fail('an impossible segment')
    const name = segmentName(log, id)
    run.push({ id, log, name, ...sizes, hash, lower, upper, clip })
  }
  if (run.length === 0) r.fail('an empty run')
  return run
}
