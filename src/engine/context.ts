import { equalBytes } from '../bytes/compare.js'
import type { Clock } from '../clock.js'
import { readAnchor, type AnchorValue } from '../log/anchor.js'
import { ID_BYTES } from '../log/entry.js'
import type { SegmentRef, SegmentSource } from '../manifest/manifest.js'
import { anchorPath, logPath } from '../manifest/names.js'
import type { SegmentCache } from '../segment/cache.js'
import type { SegmentOptions } from '../segment/writer.js'
import type { Anchor, Log, Storage } from '../storage/contract.js'
import { platformOf, type Platform } from '../storage/platform.js'
import type { Moment } from './moment.js'

/** A state that is being read. */
export interface Held {
  readonly state: SegmentSource
  /** When it last was, by the monotonic clock. */
  usedAt: number
  /** Up to which number at most the log may be trimmed meanwhile. */
  readonly trim: number
  /** Since when the state is known to have been kept. */
  readonly keptAt: Moment | undefined
  /** The pin by which others know of it. */
  reading?: { use(): Promise<void>; end(): Promise<void> } | undefined
}

/** The versions that a store keeps. */
export interface Retain {
  /** The newest so many versions are kept, and those of the last so many milliseconds. */
  readonly versions: number
  readonly ageMs: number
  /** And the newest one of each of the last so many hours and days that have versions. */
  readonly hourly: number
  readonly daily: number
}

/** The surroundings that every part of a shard works in. */
export interface ShardContext {
  readonly store: string
  /** The shard of the store, as names have it. Default: the root. */
  readonly shard?: string | undefined
  /** Others write as well: a lost number means to catch up. */
  readonly isShared: boolean
  readonly storage: Storage
  /** The storage as the caller gave it: what a probe remembers. */
  readonly probed: Storage
  readonly clock: Clock
  readonly cache: SegmentCache
  /** The part of the cache that is for rows read one by one, in bytes. */
  readonly rowBytes: number
  readonly segments: SegmentOptions
  /** The bound of the tail, and from how many bytes on a commit goes into segments at once. */
  readonly checkpoint: { readonly entries: number; readonly bytes: number; readonly large: number }
  readonly durability: 'strict' | 'relaxed'
  readonly timeoutMs: number
  readonly graceMs: number
  readonly counters: Counters
  /** Segments that this handle has uploaded and no entry names yet. */
  readonly uploads: Uploads
  /** Keeps all that is committed in memory; only in resident stores. */
  readonly resident?: Resident | undefined
  /** The states that are being read through this handle. */
  readonly held: Set<Held>
  readonly retain: Retain
  /** Something that the program should know and that fails no call. */
  readonly warn: (message: string, cause?: unknown) => void
  /** The state is another one. */
  readonly moved: () => void
  /** This handle has made a version. */
  readonly committed: () => void
  readonly emit: (
    event: 'fenced' | 'checkpoint' | 'version' | 'collected' | 'repaired',
    detail: Readonly<Record<string, unknown>>,
  ) => void
}

/** Entries after which it is looked for what to collect. */
export const COLLECT_EVERY = 64

/** Warns of a failure in work that is done beside the program's calls. */
export function warnLater(ctx: Pick<ShardContext, 'store' | 'warn'>, what: string, cause: unknown): void {
  ctx.warn(`${what} of store "${ctx.store}" failed and is tried again later.`, cause)
}

/** The part of the surroundings that reading a log from outside takes. */
export type ReadContext = Pick<ShardContext, 'store' | 'shard' | 'storage' | 'clock' | 'durability' | 'warn'> &
  Partial<Pick<ShardContext, 'segments'>>

export interface Resident {
  /** Loads all that a state needs, before it is used. */
  prepare(state: SegmentSource): Promise<void>
  /** Takes over a segment that this handle has written. */
  adopt(segment: SegmentRef, bytes: Uint8Array): Promise<void>
  /** Lets go of segments that were adopted for a state that will not come. */
  release(segments: Iterable<{ readonly name: string }>): void
  /** Lets go of those that were loaded for a state and that another one, which is used instead, does not list. */
  releaseOthers(loaded: SegmentSource, used: SegmentSource | undefined): void
}

/** Running totals for `metrics()`. */
export interface Counters {
  commits: number
  bytes: number
  folds: number
  compactions: number
  segmentsWritten: number
  segmentsReused: number
  /** Segments and entries that were deleted. */
  collected: number
  repaired: number
}

/** Segments that are uploaded for an entry to come: collection leaves them alone until the entry is there, or will not come. */
export class Uploads {
  /** By name, whether another writer's collection has condemned it: that could not know of it (R34). */
  readonly #names = new Map<string, boolean>()
  readonly #resident: Resident | undefined
  /** Something failed for want of room: what will not be named is deleted at once. */
  isTight = false

  constructor(resident: Resident | undefined) {
    this.#resident = resident
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }

  /** Takes note of what was condemned; by default, anything may have been. */
  condemn(names: Iterable<string> = this.#names.keys()): void {
    for (const name of names) if (this.#names.has(name)) this.#names.set(name, true)
  }

  /** Whether an entry must not name them any more. */
  areCondemned(segments: readonly { readonly name: string }[]): boolean {
    return segments.some(({ name }) => this.#names.get(name))
  }

  /** Before the request is sent. */
  begin(name: string): void {
    this.#names.set(name, false)
  }

  async done(segment: SegmentRef, bytes: Uint8Array): Promise<void> {
    await this.#resident?.adopt(segment, bytes)
  }

  /** Forgets all, for a handle that begins anew: nothing of before will be named. */
  clear(): void {
    this.#names.clear()
  }

  /** An entry names them. */
  named(segments: readonly SegmentRef[]): void {
    for (const { name } of segments) this.#names.delete(name)
  }

  /** No entry will name them. */
  drop(segments: readonly { readonly name: string }[]): void {
    for (const { name } of segments) this.#names.delete(name)
    this.#resident?.release(segments)
  }
}

/** The log that a shard lives in, and this handle's name in it. */
export interface LogContext {
  readonly logId: Uint8Array
  readonly path: string
  readonly platform: Platform
  /** Changes are compressed before they are sent. */
  readonly deflates: boolean
  readonly log: Log
  readonly anchor: Anchor
  readonly writerId: Uint8Array
  /** Whoever wrote the newest entry that was there when the log was taken over. */
  formerWriter?: Uint8Array | undefined
  /** How many entries this handle has built: the second half of write ids. */
  writes: number
  /** The storage's newest time, and when it came by the local monotonic clock; `undefined` where it has none. */
  storageTime: { readonly time: number; readonly at: number } | undefined
  /** Since when the number after the head is known to be free. */
  free: Moment | undefined
}

export function openAnchor(ctx: Pick<ReadContext, 'storage' | 'store' | 'shard'>): Anchor {
  return ctx.storage.anchor(anchorPath(ctx.store, ctx.shard))
}

/** The anchor in messages. */
export function anchorName(ctx: Pick<ReadContext, 'store'>): string {
  return `The anchor of store "${ctx.store}"`
}

/** The anchor as it is now, as long as it names this log. */
export async function ownAnchor(
  ctx: Pick<ReadContext, 'store'>,
  { anchor, logId }: Pick<LogContext, 'anchor' | 'logId'>,
): Promise<AnchorValue | undefined> {
  const { value } = await readAnchor(anchor, anchorName(ctx))
  return value && equalBytes(value.logId, logId) ? value : undefined
}

export function openLog(ctx: ReadContext, anchor: Anchor, logId: Uint8Array): LogContext {
  const path = logPath(ctx.store, logId, ctx.shard)
  const log = ctx.storage.log(path, { durability: ctx.durability })
  const writerId = ctx.clock.random(ID_BYTES)
  const platform = platformOf(ctx.storage)
  const deflates = ctx.storage.capabilities.isRemote === true && ctx.segments?.deflateLevel !== 0
  return { logId, path, platform, deflates, log, anchor, writerId, writes: 0, storageTime: undefined, free: undefined }
}

/** Lets go of a log. A failure takes nothing back and must not hide what happened before, so it is only a warning. */
export async function closeLog(
  ctx: Pick<ReadContext, 'store' | 'warn'>,
  { log }: Pick<LogContext, 'log'>,
): Promise<void> {
  await log.close().catch((cause: unknown) => ctx.warn(`The log of store "${ctx.store}" could not be closed.`, cause))
}

/** Now: for what is about to be sent. */
export function moment(ctx: Pick<ShardContext, 'clock'>, log: LogContext): Moment {
  return { storage: log.storageTime?.time, local: ctx.clock.monotonic() }
}

/** Takes note of the time in an answer. */
export function noteTime(ctx: Pick<ShardContext, 'clock'>, log: LogContext, time: number | undefined): void {
  if (time === undefined || !Number.isFinite(time)) return
  log.storageTime = { time: Math.floor(time), at: ctx.clock.monotonic() }
}

/** Now, by the storage's clock as far as it is known, else by the local one; whole milliseconds. */
export function currentTime(ctx: ShardContext, log: LogContext): number {
  const known = log.storageTime
  const now = known ? known.time + (ctx.clock.monotonic() - known.at) : ctx.clock.now()
  return Math.max(0, Math.floor(now))
}
