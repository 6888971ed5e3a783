/** The options of `openStore`: their types, defaults and checks. */
import { checkClock, type Clock } from '../clock.js'
import { jsonCodec } from '../bytes/codec.js'
import { isWellFormed } from '../bytes/utf8.js'
import { checkFields, invalid, show, throwIfAborted } from '../errors.js'
import { checkStoreName } from '../manifest/names.js'
import { MAX_PARTITIONS } from '../log/delta.js'
import type { WriteMode } from '../log/entry.js'
import type { Storage } from '../storage/contract.js'
import { checkTableOptions, type AnyTableOptions, type TableOptions } from './table-spec.js'

export interface Logger {
  warn?(message: string, cause?: unknown): unknown
}

export type Mode = WriteMode | 'follower'

export interface OpenOptions<V = unknown> extends TableOptions<V> {
  readonly storage: Storage
  /** 1 to 64 characters of a-z, 0-9, ".", "_" and "-"; several stores may share one storage. */
  readonly name: string
  /** Fixed when the store is created, at most 4,096. Default: what the store has, 1 for a new one. */
  readonly partitions?: number | undefined
  /**
   * `exclusive` (default): this handle owns the store, an earlier owner is fenced. `shared`: several handles write, as tabs
   * and edge functions do; a commit that another one's comes before is appended again, unless it changes what was read
   * before (then `CONFLICT`; use `transaction()`). `follower`: reads only, and never needs the permission to write.
   */
  readonly mode?: Mode | undefined
  /** Identity: a store that was made for another job is refused. */
  readonly job?: string | undefined
  /** True: it must not exist yet; false: it must exist. Default: it is created when it does not exist. */
  readonly create?: boolean | undefined
  /** Opens although the recorded mode is another. */
  readonly force?: boolean | undefined
  /** A version known from before: storage that holds less is refused with `ROLLED_BACK`. */
  readonly expectAtLeast?: number | undefined
  /** `relaxed`: a commit survives the end of the process, and after power loss recovery still finds a prefix. */
  readonly durability?: 'strict' | 'relaxed' | undefined
  /**
   * Entries and bytes of the tail at which it is folded; a commit of more bytes goes into segments at once. Default: 16 and
   * 1 MiB.
   */
  readonly checkpoint?: { readonly entries?: number | undefined; readonly bytes?: number | undefined } | undefined
  /** Size of a segment before compression, in bytes. Default: 4 MiB. */
  readonly segmentBytes?: number | undefined
  /** Size of a block before compression, in bytes. Default: 16 KiB. */
  readonly blockBytes?: number | undefined
  /** Bits per key in the bloom filters; 0 for none. Default: 10. */
  readonly bloomBits?: number | undefined
  /** 0 (stored) to 9. Default: 1. */
  readonly deflateLevel?: number | undefined
  /** Memory for blocks and indexes, in bytes. Default: 32 MiB. */
  readonly cacheBytes?: number | undefined
  /** How long a writer may be stalled before it has to look again, in milliseconds. Default: 1 hour. */
  readonly graceMs?: number | undefined
  /** How often a follower looks for new versions, in milliseconds; 0 (default): only on `refresh()`. */
  readonly followMs?: number | undefined
  /** How long one storage request, and one append with its repetitions, may take, in milliseconds. Default: 30,000. */
  readonly timeoutMs?: number | undefined
  /** Keeps everything that is committed in memory, whatever `cacheBytes` says: `getSync` always answers. */
  readonly resident?: boolean | undefined
  /** About how many bytes of changes may be buffered or on their way; one beyond it throws `QUOTA`. Default: 256 MiB. */
  readonly maxUncommittedBytes?: number | undefined
  /**
   * Which versions are kept, as a union: the newest `versions`, and those of the last `ageMs` milliseconds. Tagged ones are
   * kept besides. Default: 100 and 0.
   */
  readonly retain?: { readonly versions?: number | undefined; readonly ageMs?: number | undefined } | undefined
  /** Freezes the objects and arrays in values put and read, to find who changes what belongs to the store. */
  readonly freeze?: boolean | undefined
  readonly logger?: Logger | undefined
  readonly clock?: Clock | undefined
  /** Ends the opening. */
  readonly signal?: AbortSignal | undefined
}

export interface ResolvedOptions {
  readonly storage: Storage
  readonly name: string
  readonly partitions: number | undefined
  readonly mode: Mode
  readonly job: string | undefined
  readonly create: boolean | undefined
  readonly force: boolean
  readonly expectAtLeast: number | undefined
  readonly durability: 'strict' | 'relaxed'
  readonly checkpoint: { readonly entries: number; readonly bytes: number }
  readonly segmentBytes: number
  readonly blockBytes: number
  readonly bloomBits: number
  readonly deflateLevel: number
  readonly cacheBytes: number
  readonly graceMs: number
  readonly followMs: number
  readonly timeoutMs: number
  readonly resident: boolean
  readonly maxUncommittedBytes: number
  readonly retain: { readonly versions: number; readonly ageMs: number }
  readonly freeze: boolean
  readonly logger: Logger | undefined
  readonly clock: Clock
  readonly signal: AbortSignal | undefined
  readonly table: TableOptions<unknown>
}

const KNOWN = new Set(
  `storage name partitions mode job create force expectAtLeast durability checkpoint segmentBytes blockBytes bloomBits
  deflateLevel cacheBytes graceMs followMs timeoutMs logger clock signal codec schema ttlMs resident retain maxUncommittedBytes freeze`.split(
    /\s+/,
  ),
)
const CHECKPOINT = new Set(['entries', 'bytes'])
const RETAIN = new Set(['versions', 'ageMs'])

export function resolveOptions(given: Omit<OpenOptions, keyof TableOptions> & AnyTableOptions): ResolvedOptions {
  checkFields('openStore', given, KNOWN)
  if (given.checkpoint !== undefined) checkFields('checkpoint', given.checkpoint, CHECKPOINT)
  if (given.retain !== undefined) checkFields('retain', given.retain, RETAIN)
  checkSignal(given.signal)
  throwIfAborted(given.signal)
  const { storage } = given
  if (
    typeof storage !== 'object' ||
    storage === null ||
    typeof storage.log !== 'function' ||
    !storage.blobs ||
    !storage.capabilities
  ) {
    throw invalid('storage: an adapter is expected, such as memory() of tidemark/memory.')
  }
  checkStoreName(given.name)
  const job = given.job
  if (job !== undefined && (typeof job !== 'string' || !isWellFormed(job) || job.length > 1024)) {
    throw invalid('job: a string of at most 1,024 characters is expected.')
  }
  return {
    storage,
    name: given.name,
    partitions:
      given.partitions === undefined ? undefined : whole('partitions', given.partitions, 1, 1, MAX_PARTITIONS),
    mode: oneOf('mode', given.mode, ['exclusive', 'shared', 'follower']),
    job,
    create: flag('create', given.create),
    force: flag('force', given.force) ?? false,
    expectAtLeast: given.expectAtLeast === undefined ? undefined : whole('expectAtLeast', given.expectAtLeast, 0, 0),
    durability: oneOf('durability', given.durability, ['strict', 'relaxed']),
    checkpoint: {
      entries: whole('checkpoint.entries', given.checkpoint?.entries, 16, 1, 1 << 20),
      bytes: whole('checkpoint.bytes', given.checkpoint?.bytes, 1 << 20, 1),
    },
    segmentBytes: whole('segmentBytes', given.segmentBytes, 4 << 20, 1, 64 << 20),
    blockBytes: whole('blockBytes', given.blockBytes, 16 << 10, 1, 1 << 20),
    bloomBits: whole('bloomBits', given.bloomBits, 10, 0, 64),
    deflateLevel: whole('deflateLevel', given.deflateLevel, 1, 0, 9),
    cacheBytes: whole('cacheBytes', given.cacheBytes, 32 << 20, 0),
    graceMs: whole('graceMs', given.graceMs, 3_600_000, 1),
    followMs: whole('followMs', given.followMs, 0, 0, 2 ** 31 - 1),
    timeoutMs: whole('timeoutMs', given.timeoutMs, 30_000, 1, 2 ** 31 - 1),
    resident: flag('resident', given.resident) ?? false,
    maxUncommittedBytes: whole('maxUncommittedBytes', given.maxUncommittedBytes, 256 << 20, 1),
    retain: {
      versions: whole('retain.versions', given.retain?.versions, 100, 1),
      ageMs: whole('retain.ageMs', given.retain?.ageMs, 0, 0),
    },
    freeze: flag('freeze', given.freeze) ?? false,
    logger: given.logger,
    clock: checkClock(given.clock),
    signal: given.signal,
    table: checkTableOptions({ codec: given.codec ?? jsonCodec, schema: given.schema, ttlMs: given.ttlMs }),
  }
}

export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return
  if (typeof signal !== 'object' || signal === null || typeof signal.addEventListener !== 'function') {
    throw invalid('signal: an AbortSignal is expected.')
  }
}

/** A whole number within the bounds; `fallback` when it is left out. */
export function whole(name: string, given: unknown, fallback: number, min: number, max?: number): number {
  return given === undefined ? fallback : required(name, given, min, max)
}

export function required(name: string, given: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof given !== 'number' || !Number.isSafeInteger(given) || given < min || given > max) {
    const bound = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
    throw invalid(`${name}: a whole number ${bound} is expected, not ${show(given)}.`)
  }
  return given
}

export function flag(name: string, given: unknown): boolean | undefined {
  if (given !== undefined && typeof given !== 'boolean') throw invalid(`${name}: true or false is expected.`)
  return given
}

/** The first value is the default. */
function oneOf<T extends string>(name: string, given: unknown, values: readonly [T, ...T[]]): T {
  if (given === undefined) return values[0]
  if (!values.includes(given as T)) {
    throw invalid(`${name}: ${values.map((v) => `"${v}"`).join(' or ')} is expected, not ${show(given)}.`)
  }
  return given as T
}
