/**
 * The target of a transfer. Segments come first, under new ids; one reset entry then names them, and only that makes the
 * version visible. An interrupted transfer leaves blobs that nobody names. The next one takes those over whose bytes are
 * right, and collection removes the others.
 */
import { equalBytes } from '../bytes/compare.js'
import { toHex } from '../bytes/hex.js'
import { TidemarkError, invalid, isFull, isTidemarkError, throwIfAborted } from '../errors.js'
import { ID_BYTES, type Origin, type SyncPoint } from '../log/entry.js'
import { landed } from '../log/append.js'
import type { Standing } from '../log/spans.js'
import type { Manifest, Run, SegmentRef, StoreConfig } from '../manifest/manifest.js'
import { comingPath, idOfBlob, segmentsPrefix } from '../manifest/listed-names.js'
import { segmentName } from '../manifest/names.js'
import { checkWhole } from '../segment/whole.js'
import { buildEntry, type EntryChange } from '../engine/entry-builder.js'
import { closeLog, currentTime, noteTime, type LogContext, type ShardContext } from '../engine/context.js'
import { Memtable } from '../engine/memtable.js'
import { createLog } from '../engine/open/create.js'
import { refreshAnchor } from '../engine/open/anchoring.js'
import { openShard } from '../engine/open/open.js'
import { markClosed } from '../engine/open/release.js'
import { foldTail } from '../engine/compaction/run-writer.js'
import { assertNotTrimmed, sendEntry } from '../engine/write/send.js'
import type { Shard } from '../engine/shard.js'
import { applyEntry, memtableCodecs, segmentsOf, tailBytes, tailCodecs, type ShardState } from '../engine/state.js'
import { metered, type Metered } from '../storage/metered.js'
import type { StorePlace } from '../tools/place.js'
import type { Wanted } from './ancestry.js'
import { clearComing, isWhole, listUploads, prepareLog, takeBack } from './coming.js'
import { contextOf, eachOf, openWhole, tellProgress, type TransferOptions } from './options.js'

/** The version that is put in place of the target's state, but for its content. */
export interface Incoming extends Standing {
  readonly label: string | undefined
  readonly meta: string | undefined
  readonly origin: Origin
  readonly sync: Omit<SyncPoint, 'at'>
}

export interface Content {
  readonly manifest: Manifest
  readonly memtable: Memtable | undefined
}

/** The changes of a tail up to this many bytes stay in the entry, as a segment of them would be larger. */
const SMALL_TAIL = 1024
const AT_ONCE = 4

export class Receiver {
  /** Those of the log that is written, once it is. */
  ctx: ShardContext
  readonly #options: TransferOptions
  readonly #metered: Metered
  /** The store as it was found; `undefined` when there was none. */
  readonly seen: Shard | undefined
  /** Names of segments that were made here of a tail. */
  readonly #folded = new Set<string>()
  /** Hashes of segments that were copied. */
  readonly #copied = new Set<string>()
  /** Names of segments that were uploaded and that no entry names yet. */
  readonly #made = new Set<string>()
  /** Whether this receiver has noted the log that is yet to be created. */
  #isNoted = false
  /** An entry was sent, and it is not known what became of it. */
  #isInDoubt = false
  #log: LogContext | undefined
  #state: ShardState | undefined
  /** The segments that the target has and may name, by hash. */
  readonly #known = new Map<string, SegmentRef>()

  static async #open(place: StorePlace, options: TransferOptions): Promise<Receiver> {
    const counting = metered(place.storage)
    const ctx = { ...contextOf({ ...place, storage: counting }, options.clock), probed: place.storage }
    try {
      return new Receiver(ctx, options, counting, await openWhole(ctx, options.signal))
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'NOT_FOUND') throw error
      return new Receiver(ctx, options, counting, undefined)
    }
  }

  /** Opens a receiver, runs with it, and closes it. */
  static async use<T>(
    place: StorePlace,
    options: TransferOptions,
    run: (receiver: Receiver) => Promise<T>,
  ): Promise<T> {
    const receiver = await Receiver.#open(place, options)
    try {
      return await run(receiver)
    } catch (error) {
      // Uploads that cannot be deleted now are taken over by the next transfer, or removed by collection.
      if (isFull(error))
        await takeBack(receiver.ctx, receiver.#log, receiver.#made, receiver.#isNoted).catch(() => undefined)
      throw error
    } finally {
      await receiver.close()
    }
  }

  private constructor(ctx: ShardContext, options: TransferOptions, counting: Metered, seen: Shard | undefined) {
    this.ctx = ctx
    this.#options = options
    this.#metered = counting
    this.seen = seen
  }

  /** The newest version that was found; 0 when there is none. */
  get version(): number {
    return this.seen?.state.carried.version ?? 0
  }

  /** How many bytes were written so far. */
  get bytes(): number {
    return this.#metered.usage().bytesWritten
  }

  /** The state that the receiver owns since `begin`; `undefined` when the store is yet to be created. */
  get state(): ShardState | undefined {
    return this.#state
  }

  /** Refuses a version that can never become one of this store. */
  checkConfig(config: StoreConfig): void {
    const own = this.seen?.state.manifest.config
    if (own === undefined) return
    const { store } = this.ctx
    if (own.partitions !== config.partitions) {
      throw invalid(
        `Store "${store}" has ${own.partitions} partitions, and the version to be put there has ${config.partitions}.`,
      )
    }
    if (own.job !== undefined && config.job !== undefined && own.job !== config.job) {
      throw invalid(
        `Store "${store}" belongs to the job "${own.job}", and the version to be put there to "${config.job}".`,
      )
    }
  }

  /** Takes the store over, or prepares its creation. From here on blobs are written. */
  async begin(force: boolean): Promise<void> {
    const { ctx, seen } = this
    const { signal } = this.#options
    throwIfAborted(signal)
    if (seen === undefined) {
      const { log, isNew } = await prepareLog(ctx)
      this.#log = log
      this.#isNoted = isNew
      return
    }
    const opened = await openShard(ctx, {
      mode: 'exclusive',
      force,
      signal,
      create: false,
      config: () => seen.state.manifest.config,
      check: (state) => {
        const isSame = state?.carried.version === this.version && equalBytes(state.logId, seen.log.logId)
        if (!isSame) throw this.#overtaken()
      },
    })
    this.ctx = opened.context
    this.#log = opened.log
    this.#state = opened.state
    for (const segment of segmentsOf(opened.state)) this.#known.set(toHex(segment.hash), segment)
  }

  #overtaken(): TidemarkError {
    return new TidemarkError(
      'CONFLICT',
      `Store "${this.ctx.store}" was written by somebody else meanwhile; nothing was put there. Try again.`,
    )
  }

  has({ hash }: SegmentRef): boolean {
    return this.#known.has(toHex(hash))
  }

  /** Looks for uploads of interrupted transfers, and takes over those that are among `missing`. */
  async findUploads(missing: readonly SegmentRef[]): Promise<void> {
    if (missing.length === 0) return
    const uploads = await listUploads(this.ctx, this.#log!, this.#state, this.#options.signal)
    await eachOf(missing, AT_ONCE, async (segment) => {
      for (const name of uploads.get(segment.length) ?? []) {
        const { bytes } = await this.ctx.storage.blobs.get(name, { signal: this.#options.signal })
        if (!(await isWhole(this.ctx, bytes, { ...segment, name }))) continue
        const id = idOfBlob(segmentsPrefix(this.#log!.path), name)!
        this.#known.set(toHex(segment.hash), { ...segment, id, log: this.#log!.path, name })
        return
      }
    })
  }

  /** Stores a segment under a new id (R55), and reads it back. The bytes were checked against `segment`. */
  async put(segment: SegmentRef, bytes: Uint8Array): Promise<void> {
    const { signal } = this.#options
    const { path: log } = this.#log!
    const id = this.ctx.clock.random(ID_BYTES)
    const copy = { ...segment, id, log, name: segmentName(log, id) }
    throwIfAborted(signal)
    const { blobs } = this.ctx.storage
    this.#made.add(copy.name)
    noteTime(this.ctx, this.#log!, (await blobs.put(copy.name, bytes, { signal })).time)
    await checkWhole(this.ctx.cache.platform, (await blobs.get(copy.name, { signal })).bytes, copy)
    this.#known.set(toHex(segment.hash), copy)
  }

  /** Copies the missing segments, some at a time. */
  async copy(wanted: readonly SegmentRef[], read: (segment: SegmentRef) => Promise<Uint8Array>): Promise<void> {
    const { signal } = this.#options
    await this.findUploads(this.missing(wanted))
    const missing = this.missing(wanted)
    const [total, totalBytes] = [missing.length, missing.reduce((sum, { length }) => sum + length, 0)]
    let [done, bytes] = [0, 0]
    tellProgress(this.#options, { done, total, bytes, totalBytes })
    await eachOf(missing, AT_ONCE, async (segment) => {
      throwIfAborted(signal)
      await this.put(segment, await read(segment))
      this.#copied.add(toHex(segment.hash))
      bytes += segment.length
      tellProgress(this.#options, { done: ++done, total, bytes, totalBytes })
      await this.ctx.clock.pause()
    })
  }

  /** How many segments of a manifest were copied, and how many were there already; those made here of a tail are neither. */
  count({ runs }: Manifest): { copied: number; reused: number } {
    const sent = runs.flat().filter(({ name }) => !this.#folded.has(name))
    const hashes = new Set(sent.map(({ hash }) => toHex(hash)))
    const copied = [...hashes].filter((hash) => this.#copied.has(hash)).length
    return { copied, reused: hashes.size - copied }
  }

  /** The segments that the target lacks, each content once. */
  missing(wanted: readonly SegmentRef[]): SegmentRef[] {
    const byHash = new Map(wanted.map((segment) => [toHex(segment.hash), segment]))
    return [...byHash].flatMap(([hash, segment]) => (this.#known.has(hash) ? [] : [segment]))
  }

  /**
   * The parts as one manifest and one memtable. A fold that this takes is written here, never to the source. The manifest may
   * still name segments that are to be copied.
   */
  async combine({ runs, tail }: Wanted, from: ShardState): Promise<Content> {
    const codecs = new Map(from.manifest.codecs)
    for (const entry of [...from.tail, ...tail])
      for (const [table, codec] of tailCodecs(entry)) codecs.set(table, codec)
    const state: ShardState = { ...from, manifest: { ...from.manifest, codecs, runs }, tail }
    if (tail.some(({ references }) => references) || tailBytes(state) > SMALL_TAIL) return this.#fold(state)
    const memtable = new Memtable()
    for (const entry of tail) if (entry.memtable) memtable.absorb(entry.memtable)
    return { manifest: state.manifest, memtable: memtable.empty ? undefined : memtable }
  }

  async #fold(state: ShardState): Promise<Content> {
    const { signal } = this.#options
    const { path } = this.#log!
    const fold = await foldTail(this.ctx, this.#log!, state, signal ?? new AbortController().signal)
    for (const segment of fold.runs.flat()) {
      if (segment.log !== path || this.has(segment)) continue
      this.#folded.add(segment.name)
      this.#made.add(segment.name)
      const { bytes } = await this.ctx.storage.blobs.get(segment.name, { signal })
      await checkWhole(this.ctx.cache.platform, bytes, segment)
      this.#known.set(toHex(segment.hash), segment)
    }
    return { manifest: { ...state.manifest, runs: [...state.manifest.runs, ...fold.runs] }, memtable: undefined }
  }

  /** Appends the reset, which makes the version visible, and returns its state. */
  async commit({ manifest, memtable }: Content, incoming: Incoming): Promise<ShardState> {
    const { offsets, spans, label, meta, origin, sync } = incoming
    throwIfAborted(this.#options.signal)
    const codecs = new Map([...manifest.codecs, ...(memtable ? memtableCodecs(memtable) : [])])
    const own = { ...manifest, codecs, runs: manifest.runs.map((run) => this.#own(run)) }
    const time = currentTime(this.ctx, this.#log!)
    const change: EntryChange = {
      kind: 'reset',
      time,
      memtable,
      offsets,
      spans,
      label,
      meta,
      reset: { manifest: own, origin, sync },
    }
    this.#state = this.#state ? await this.#append(this.#state, change) : await this.#create(manifest.config, change)
    this.#made.clear()
    this.#isNoted = false
    await clearComing(this.ctx, this.#log!.logId).catch(() => undefined)
    return this.#state
  }

  /** The same run, with the segments of this store. */
  #own(run: Run): Run {
    return run.map((segment) => {
      const { id, log, name } = this.#known.get(toHex(segment.hash))!
      return { ...segment, id, log, name }
    })
  }

  async #append(state: ShardState, change: EntryChange): Promise<ShardState> {
    const { ctx } = this
    const log = this.#log!
    const built = await buildEntry(log, state, change)
    const next = applyEntry(state, built)
    const { n } = built.entry
    this.#isInDoubt = true
    const resolution = await sendEntry(ctx, log, next.manifest.covers, built, 'append')
    const what = `version ${n} of store "${ctx.store}" was written; call this again, it will look.`
    const committed = landed(resolution, what)
    if (committed === undefined) throw this.#overtaken()
    this.#isInDoubt = false
    await assertNotTrimmed(ctx, log, n, committed.time)
    noteTime(ctx, log, committed.time)
    await refreshAnchor(ctx, log, next)
    return next
  }

  async #create(config: StoreConfig, change: EntryChange): Promise<ShardState> {
    const { ctx } = this
    const { logId, anchor } = this.#log!
    // The note is gone when somebody has destroyed the store, or has created it first.
    const { bytes } = await ctx.storage.blobs.get(comingPath(ctx.store, logId))
    if (bytes === undefined) throw this.#overtaken()
    const begun = (): void => {
      this.#made.clear()
      this.#isNoted = false
    }
    const created = await createLog(ctx, anchor, logId, { ...config, created: change.time }, change, begun)
    if (created === undefined) throw this.#overtaken()
    await closeLog(ctx, this.#log!)
    this.#log = created.log
    return created.state
  }

  /** The log that is written or was found. */
  get log(): LogContext {
    return this.#log ?? this.seen!.log
  }

  async close(): Promise<void> {
    if (this.#log) {
      if (this.#state && !this.#isInDoubt) await markClosed(this.ctx, this.#log, this.#state)
      await closeLog(this.ctx, this.#log)
    }
    await this.seen?.close()
  }
}
