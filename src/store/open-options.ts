/** The options of `openStore`, and whether the store that is found is the one that they ask for. */
import { jsonCodec } from '../bytes/codec.js'
import { isWellFormed } from '../bytes/utf8.js'
import { checkClock, type Clock } from '../clock.js'
import { invalid, throwIfAborted } from '../errors.js'
import { MAX_PARTITIONS } from '../log/delta.js'
import type { WriteMode } from '../log/entry.js'
import { checkStoreName } from '../manifest/names.js'
import { recordedCodec, type ShardState } from '../engine/state.js'
import type { Storage } from '../storage/contract.js'
import { boolean, checker, flag, number, oneOf, optional, required, signal, within, type Check } from './options.js'
import { TABLE_OPTIONS } from './table-checks.js'
import { type AnyTableOptions, type TableOptions } from './table-options.js'

/** Takes the warnings of a store. */
export interface Logger {
  /** Takes a warning: what went wrong without failing a call. It is not waited for. */
  warn?(message: string, cause?: unknown): unknown
}

/** How a handle uses its store; `OpenOptions.mode` says what each does. */
export type Mode = WriteMode | 'follower'

/** The options of `openStore`; `codec`, `schema` and `ttlMs` are those of the default table. */
export interface OpenOptions<V = unknown> extends TableOptions<V> {
  /**
   * Where the store lies: an adapter, such as `nodeFs('./state')` or `memory()`. Several stores may share one.
   * @when Files suit a server, IndexedDB a page, a bucket several machines, memory a test.
   */
  readonly storage: Storage
  /**
   * The store's name: 1 to 64 characters of a-z, 0-9, ".", "_" and "-".
   * @when Give a store of its own to all that is committed, restored and copied together.
   */
  readonly name: string
  /**
   * Over how many partitions keys are spread, from 1 to 4,096. The number is fixed when the store is created.
   * @default the number that the store has; 1 for a new store
   * @unit partitions
   * @when Set it to the number of partitions of the source that you consume; otherwise leave it.
   */
  readonly partitions?: number | undefined
  /**
   * - `exclusive`: this handle owns the store; an earlier owner is fenced.
   * - `shared`: several handles write, as tabs and edge functions do. When another handle's commit comes first, this one's is
   *   appended behind it, unless that one has changed a key that this one changes, too, and had read before (then `CONFLICT`).
   * - `follower`: the handle only reads, and never needs the permission to write.
   * @default 'shared' on indexedDb(), 'exclusive' elsewhere
   * @when Set `exclusive` when one tab has to own a store in IndexedDB, `shared` when several machines write one bucket, or when
   *   a test has a page's store in memory, `follower` for a reader that must not take over.
   */
  readonly mode?: Mode | undefined
  /**
   * A partition. Of a store that was split, the handle has the shard of this partition: it reads and writes the partitions of that shard.
   * A store that has several shards is opened by one, or as a `follower` of all.
   * @default all partitions, which are one shard until the store is split
   * @unit partition
   * @when Set it when the store was split with `rescale()`; `joinGroup()` does it for its members.
   */
  readonly shard?: number | undefined
  /**
   * The job that the store belongs to. A store that was made for another job is refused with `INVALID_ARGUMENT`.
   * @default the job is not compared
   * @when Set it, and change it, when older state makes no sense to a new version of the program.
   */
  readonly job?: string | undefined
  /**
   * `true`: the store must not exist yet (`INVALID_ARGUMENT`). `false`: it must exist (`NOT_FOUND`).
   * @default the store is created when it does not exist
   * @when Set `true` in a set-up script, and `false` where an empty store would hide a wrong path.
   */
  readonly create?: boolean | undefined
  /**
   * Opens the store although its recorded mode is another, and somebody who writes in that has not closed it.
   * @default false
   * @when Set it once, by hand, when a writer of the other mode was killed and does not come back.
   */
  readonly force?: boolean | undefined
  /**
   * A version that is known from before. Storage that holds less is refused with `ROLLED_BACK`.
   * @default nothing is expected
   * @unit version
   * @when Set it when you keep the newest version elsewhere, and somebody may put an old copy of the storage back.
   */
  readonly expectAtLeast?: number | undefined
  /**
   * `strict`: a commit is durable when it resolves. `relaxed`: it survives the end of the process, and after power loss
   * recovery still finds a prefix of the commits.
   * @default 'strict'
   * @when Choose `relaxed` when the last commits may be lost with the power, and commits have to be quick.
   */
  readonly durability?: 'strict' | 'relaxed' | undefined
  /**
   * After how many entries, and how many bytes, the tail of the log is folded into segments. A commit of more bytes goes
   * into segments at once.
   * @default as it suits the storage: { entries: 48, bytes: 6 << 20 } where each entry is an object, on S3 and R2; else
   *   { entries: 1024, bytes: 4 << 20 }, with 1 << 20 in IndexedDB; on files and in memory only a commit of more than 16 << 20
   *   bytes goes into segments at once
   * @when Lower it when opening has to be quick; raise it when folds cost too many requests.
   */
  readonly checkpoint?:
    | {
        /**
         * How many entries the tail may have.
         * @default 48 on S3 and R2, 1024 elsewhere
         * @unit entries
         * @when Lower it where each request opens the store; raise it for many small commits.
         */
        readonly entries?: number | undefined
        /**
         * How many bytes the entries of the tail may have.
         * @default 6 << 20 on S3 and R2, 1 << 20 in IndexedDB, 4 << 20 elsewhere
         * @unit bytes
         * @when Lower it where memory is short.
         */
        readonly bytes?: number | undefined
      }
    | undefined
  /**
   * The size of a segment before compression, in bytes, up to 64 MiB.
   * @default 4 << 20
   * @unit bytes
   * @when Lower it where memory is short, or large requests fail.
   */
  readonly segmentBytes?: number | undefined
  /**
   * The size of a block before compression, in bytes, up to 1 MiB. A read from storage takes a whole block.
   * @default 16 << 10; 64 << 10 in IndexedDB
   * @unit bytes
   * @when Lower it for single reads of small values; raise it for scans of a bucket.
   */
  readonly blockBytes?: number | undefined
  /**
   * Bits per key in the bloom filters, up to 64; 0 for no filters.
   * @default 10
   * @unit bits per key
   * @when Set 0 when the keys that are looked up are always there; raise it when most of them are not.
   */
  readonly bloomBits?: number | undefined
  /**
   * How hard blocks are compressed: 0 (stored as they are) to 9. CompressionStream, in browsers and for storages that lend no
   * other, knows 0 and its own level alone. On S3 and R2 the changes in entries are compressed as well, unless it is 0.
   * @default 1
   * @unit level
   * @when Set 0 for values that are compressed already; raise it where room or transfer is dear.
   */
  readonly deflateLevel?: number | undefined
  /**
   * Memory in bytes, about, for blocks and indexes, and for values as they were decoded. Rows that were read one by one take at
   * most half of it; iterations keep what they decode of blocks that are in memory, as long as there is room.
   * @default 32 << 20
   * @unit bytes
   * @when Raise it to what is read again and again; lower it in a worker.
   */
  readonly cacheBytes?: number | undefined
  /**
   * How long a writer may be stalled before it has to look again, in milliseconds. What is condemned stays readable for as
   * long.
   * @default 3_600_000
   * @unit milliseconds
   * @when Raise it when machines sleep or snapshots are read for longer; lower it only where neither happens and deleted
   *   data has to go sooner.
   */
  readonly graceMs?: number | undefined
  /**
   * How often a handle that follows others looks for new versions, in milliseconds; 0: only on `refresh()`.
   * @default 0
   * @unit milliseconds
   * @when Set it for a follower, and for writers on different machines, when they have to show what others commit.
   */
  readonly followMs?: number | undefined
  /**
   * How long one storage request, and one append with its repetitions, may take, in milliseconds.
   * @default 30_000
   * @unit milliseconds
   * @when Raise it on slow lines; lower it where a caller would rather hear of a failure.
   */
  readonly timeoutMs?: number | undefined
  /**
   * Keeps everything that is committed in memory, so that `getSync` always answers. Rows that were read one by one, and values that
   * iterations have decoded, stay as they were decoded, each up to four times `cacheBytes`.
   * @default false
   * @when Set it when all of the data fits into memory and is read without waiting, as in rendering.
   */
  readonly resident?: boolean | undefined
  /**
   * About how many bytes of changes may be buffered or on their way. A change beyond it throws `QUOTA`.
   * @default 256 << 20
   * @unit bytes
   * @when Lower it where memory is short; raise it for a bulk load in one commit.
   */
  readonly maxUncommittedBytes?: number | undefined
  /**
   * Which versions are kept: the newest `versions`, those of the last `ageMs` milliseconds, and the newest one of each of the
   * last `hourly` hours and `daily` days of UTC that have versions; 0 for none. Tagged ones are kept besides. All writers of a
   * store should say the same.
   * @default { versions: 100, ageMs: 0, hourly: 24, daily: 30 }
   * @when Raise it for a longer history; lower it when room is dear. A single version that has to stay gets a tag.
   */
  readonly retain?:
    | {
        /**
         * How many of the newest versions are kept.
         * @default 100
         * @unit versions
         * @when Raise it to go back further step by step; 1 keeps the newest alone, beside those of hours and days.
         */
        readonly versions?: number | undefined
        /**
         * How old a version may be to be kept however many there are.
         * @default 0: age alone keeps none
         * @unit milliseconds
         * @when Set it when everything of the last days has to be there, however many versions that is.
         */
        readonly ageMs?: number | undefined
        /**
         * Of how many hours that have versions the newest one is kept.
         * @default 24
         * @unit hours
         * @when Raise it to go back by the hour for longer; 0 keeps none for its hour.
         */
        readonly hourly?: number | undefined
        /**
         * Of how many days that have versions the newest one is kept.
         * @default 30
         * @unit days
         * @when Raise it to go back by the day for longer; 0 keeps none for its day.
         */
        readonly daily?: number | undefined
      }
    | undefined
  /**
   * Freezes the objects and arrays in values put and read, so that whoever changes what belongs to the store finds out.
   * @default false
   * @when Set it in development and tests.
   */
  readonly freeze?: boolean | undefined
  /**
   * Takes warnings; `false`: nobody does. `on('warning', …)` tells of them, too.
   * @default console
   * @when Set it to send warnings to your own log.
   */
  readonly logger?: Logger | false | undefined
  /**
   * Time, timers and random bytes.
   * @default systemClock
   * @when Only tests replace it.
   */
  readonly clock?: Clock | undefined
  /**
   * Ends the opening with `ABORTED`.
   * @default none
   * @when Set it when whoever waits for the store may go away.
   */
  readonly signal?: AbortSignal | undefined
}

const storage: Check<Storage> = (_, given) => {
  const { log, blobs, capabilities } = Object(given) as Partial<Storage>
  if (typeof log === 'function' && blobs && capabilities) return given as Storage
  throw invalid('storage: an adapter is expected, such as nodeFs("./state"), indexedDb("my-app") or memory().')
}

const name: Check<string> = (_, given) => {
  checkStoreName(given)
  return given
}

const job: Check<string> = (_, given) => {
  if (typeof given === 'string' && isWellFormed(given) && given.length <= 1024) return given
  throw invalid('job: a string of at most 1,024 characters is expected.')
}

const LONGEST_TIMER = 2 ** 31 - 1

const CHECKS = {
  storage,
  name,
  job: optional(job),
  partitions: optional((option, given) => required(option, given, 1, MAX_PARTITIONS)),
  shard: optional((option, given) => required(option, given, 0, MAX_PARTITIONS - 1)),
  mode: optional(oneOf<Mode>('exclusive', 'shared', 'follower')),
  create: flag,
  force: boolean(false),
  expectAtLeast: optional((option, given) => required(option, given, 0)),
  durability: oneOf('strict', 'relaxed'),
  checkpoint: within('checkpoint', { entries: number(0, 1, 1 << 20), bytes: number(0, 1) }),
  segmentBytes: number(4 << 20, 1, 64 << 20),
  blockBytes: number(0, 1, 1 << 20),
  bloomBits: number(10, 0, 64),
  deflateLevel: number(1, 0, 9),
  cacheBytes: number(32 << 20, 0),
  graceMs: number(3_600_000, 1),
  followMs: number(0, 0, LONGEST_TIMER),
  timeoutMs: number(30_000, 1, LONGEST_TIMER),
  resident: boolean(false),
  maxUncommittedBytes: number(256 << 20, 1),
  retain: within('retain', {
    versions: number(100, 1),
    ageMs: number(0, 0),
    hourly: number(24, 0),
    daily: number(30, 0),
  }),
  freeze: boolean(false),
  logger: optional<Logger | false>((_, given) => {
    const warn: unknown = (Object(given) as Record<string, unknown>)['warn']
    const isLogger = typeof given === 'object' && given !== null && (warn === undefined || typeof warn === 'function')
    if (given === false || isLogger) return given as Logger | false
    throw invalid('logger: false, or an object with warn(message, error) is expected.')
  }),
  clock: (_: string, given: unknown) => checkClock(given as Clock | undefined),
  signal,
  ...TABLE_OPTIONS,
}
const check = checker('openStore', CHECKS)

export type ResolvedOptions = ReturnType<typeof check> & {
  readonly mode: Mode
  readonly table: AnyTableOptions
  /** The folder of the shard, where it is not found by a partition: that of a group's control store. */
  readonly folder?: string | undefined
}

export function resolveOptions(given: Omit<OpenOptions, keyof TableOptions> & AnyTableOptions): ResolvedOptions {
  const options = check(given)
  throwIfAborted(options.signal)
  const { codec = jsonCodec, schema, ttlMs, indexes, version, upgrade } = options
  const mode = options.mode ?? modeOf(options.storage)
  return { ...options, mode, table: { codec, schema, ttlMs, indexes, version, upgrade } }
}

/** The mode of stores that are not told theirs. */
export function modeOf({ capabilities }: Storage): WriteMode {
  return capabilities.mode ?? 'exclusive'
}

/** Whether what storage holds is the store that was asked for; `refuse` says why not. */
export function isAsked(
  { job, partitions, table }: ResolvedOptions,
  state: ShardState | undefined,
  expectAtLeast = 0,
): boolean {
  if (state === undefined) return expectAtLeast === 0
  const { carried, manifest } = state
  const { config } = manifest
  const codec = recordedCodec(state, new Uint8Array(0)) ?? table.codec!.id
  if (carried.version < expectAtLeast || (partitions ?? config.partitions) !== config.partitions) return false
  return (job ?? config.job ?? job) === (config.job ?? job) && codec === table.codec!.id
}
