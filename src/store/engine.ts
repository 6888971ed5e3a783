/** The engine behind a store handle: the buffer of what is uncommitted, the shard that makes it durable, and their life. */
import { isWellFormed } from '../bytes/utf8.js'
import { TidemarkError, checkFields, invalid } from '../errors.js'
import { NO_OFFSETS, parseOffsets, type Offsets } from '../log/offsets.js'
import { SegmentCache } from '../segment/cache.js'
import type { CommitResult } from '../shard/committer.js'
import { currentTime, type ShardContext } from '../shard/context.js'
import { Layer } from '../shard/layer.js'
import type { View } from '../shard/reads.js'
import { Shard, type ShardRequest } from '../shard/shard.js'
import { tableBytes } from '../shard/slot.js'
import { recordedCodec, type ShardState } from '../shard/state.js'
import { deadlines } from '../storage/deadlines.js'
import { metered, type Usage } from '../storage/metered.js'
import { Events } from './events.js'
import { readVersions, type VersionInfo, type VersionsOptions } from './history.js'
import { collectMetrics, Latencies, newCounters, type Metrics } from './metrics.js'
import type { ResolvedOptions } from './options.js'
import { encodeLayer, type TableHost } from './table.js'
import { checkTableOptions, TableSpec, type AnyTableOptions } from './table-spec.js'

export interface CommitOptions {
  /** Where each source is to be read from next; committed in the same entry as the changes. */
  readonly offsets?: Offsets | undefined
  readonly label?: string | undefined
  /** Anything that JSON keeps. */
  readonly meta?: unknown
  /** Lets offsets go back. */
  readonly force?: boolean | undefined
}

const COMMIT_OPTIONS = new Set(['offsets', 'label', 'meta', 'force'])

export class Engine implements TableHost {
  readonly options: ResolvedOptions
  readonly events: Events
  readonly #ctx: ShardContext
  readonly #usage: () => Usage
  readonly #latencies = new Latencies()
  readonly #specs = new Map<string, TableSpec>()
  #shard: Shard | undefined
  #buffer = new Layer()
  #closing: Promise<void> | undefined
  #reopening: Promise<void> | undefined
  #stopFollowing: () => void = () => undefined

  static async open(options: ResolvedOptions): Promise<Engine> {
    const engine = new Engine(options)
    engine.#shard = await Shard.open(engine.#ctx, engine.#request(options.create, options.expectAtLeast))
    engine.#follow()
    return engine
  }

  private constructor(options: ResolvedOptions) {
    this.options = options
    const { clock } = options
    this.events = new Events((message, cause) => this.#log(message, cause))
    const storage = metered(deadlines(options.storage, { timeoutMs: options.timeoutMs, clock }))
    this.#usage = () => storage.usage()
    this.#ctx = {
      store: options.name,
      storage,
      probed: options.storage,
      clock,
      cache: new SegmentCache(storage.blobs, options.cacheBytes),
      segments: options,
      checkpoint: options.checkpoint,
      durability: options.durability,
      timeoutMs: options.timeoutMs,
      graceMs: options.graceMs,
      counters: newCounters(),
      warn: (message, cause) => this.#warn(message, cause),
      emit: (event, detail) => this.events.emit(event, detail as never),
    }
  }

  #warn(message: string, cause?: unknown): void {
    this.#log(message, cause)
    this.events.emit('warning', { message, cause })
  }

  #log(message: string, cause: unknown): void {
    try {
      this.options.logger?.warn?.(message, cause)
    } catch {
      // A logger that throws must not fail what it was told about, and there is nobody left to tell.
    }
  }

  #request(create: boolean | undefined, expectAtLeast: number | undefined): ShardRequest {
    const { options } = this
    return {
      mode: options.mode,
      signal: options.signal,
      create,
      config: () => ({
        partitions: options.partitions ?? 1,
        job: options.job,
        created: Math.floor(options.clock.now()),
      }),
      check: (state) => checkIdentity(options, state, expectAtLeast),
      giveBack: (layers) => this.#giveBack(layers),
    }
  }

  get shard(): Shard {
    return this.#shard!
  }

  get state(): ShardState {
    return this.shard.state
  }

  get partitions(): number {
    return this.state.manifest.config.partitions
  }

  monotonic(): number {
    return this.options.clock.monotonic()
  }

  now(): number {
    return Math.max(this.state.carried.time, currentTime(this.#ctx, this.shard.log))
  }

  view(): View {
    this.#assertOpen()
    return this.shard.view([this.#buffer])
  }

  writable(): Layer {
    this.#assertOpen()
    this.shard.assertWritable()
    return this.#buffer
  }

  #assertOpen(): void {
    if (this.#closing) throw this.#closedError()
  }

  #closedError(): TidemarkError {
    return new TidemarkError('CLOSED', `Store "${this.options.name}" is closed; open it again.`)
  }

  /** The table of this name, made once per handle. */
  spec(name: string, options: AnyTableOptions): TableSpec {
    return this.specFor(name, tableBytes(name), options)
  }

  specFor(name: string, bytes: Uint8Array, options: AnyTableOptions): TableSpec {
    this.#assertOpen()
    const key = String.fromCharCode(...bytes)
    const known = this.#specs.get(key)
    const { codec, schema, ttlMs } = checkTableOptions(options)
    if (known !== undefined && codec === undefined && schema === undefined && ttlMs === undefined) return known
    const before = known?.options
    const spec = new TableSpec(name, bytes, {
      codec: codec ?? before?.codec,
      schema: schema ?? before?.schema,
      ttlMs: ttlMs ?? before?.ttlMs,
    })
    if (known !== undefined && !known.isRefused) spec.checkRecorded(known.codec.id)
    spec.checkRecorded(recordedCodec(this.state, bytes))
    this.#specs.set(key, spec)
    return spec
  }

  async commit(options: CommitOptions): Promise<CommitResult> {
    const layer = this.writable()
    checkFields('commit', options, COMMIT_OPTIONS)
    const offsets = options.offsets === undefined ? NO_OFFSETS : parseOffsets(options.offsets)
    const label = checkLabel(options.label)
    const meta = encodeMeta(options.meta)
    encodeLayer(layer, (table) => this.#specs.get(String.fromCharCode(...table))!)
    const started = this.monotonic()
    // The committer refuses before it takes the layer, or takes it in this very turn.
    const committing = this.shard.commit({ layer, offsets, force: options.force === true, label, meta })
    this.#buffer = new Layer()
    const result = await committing
    this.#latencies.add(this.monotonic() - started)
    return result
  }

  #giveBack(layers: readonly Layer[]): void {
    const buffer = new Layer()
    for (const layer of layers) buffer.absorb(layer)
    buffer.absorb(this.#buffer)
    this.#buffer = buffer
  }

  discard(): void {
    this.#assertOpen()
    this.#buffer = new Layer()
  }

  async checkpoint(): Promise<void> {
    this.#assertOpen()
    await this.shard.checkpoint()
  }

  async refresh(): Promise<void> {
    this.#assertOpen()
    await this.shard.refresh()
    this.#recheckCodecs()
  }

  #recheckCodecs(): void {
    for (const spec of this.#specs.values()) spec.recheck(recordedCodec(this.state, spec.bytes))
  }

  reopen(): Promise<void> {
    if (this.#closing) return Promise.reject(this.#closedError())
    this.#reopening ??= this.#reopen().finally(() => {
      this.#reopening = undefined
    })
    return this.#reopening
  }

  async #reopen(): Promise<void> {
    this.#dropBuffer('reopen()')
    this.#stopFollowing()
    await this.shard.close()
    this.#dropBuffer('reopen()')
    this.#shard = await Shard.open(this.#ctx, this.#request(false, undefined))
    this.#recheckCodecs()
    this.#follow()
  }

  #dropBuffer(by: string): void {
    if (this.#buffer.empty) return
    this.#warn(`${by} dropped uncommitted changes of store "${this.options.name}"; commit() them before.`)
    this.#buffer = new Layer()
  }

  /** Looks for new versions every `followMs`, one look at a time. */
  #follow(): void {
    const { mode, followMs, clock } = this.options
    if (mode !== 'follower' || followMs === 0) return
    let stopped = false
    let cancel = (): void => undefined
    const next = (): void => {
      cancel = clock.timer(
        followMs,
        () => {
          this.refresh()
            .catch(
              (cause: unknown) =>
                stopped || this.#warn(`Following store "${this.options.name}" failed; it goes on.`, cause),
            )
            .finally(() => {
              if (!stopped) next()
            })
        },
        { background: true },
      )
    }
    next()
    this.#stopFollowing = () => {
      stopped = true
      cancel()
    }
  }

  versions(options: VersionsOptions): AsyncIterableIterator<VersionInfo> {
    this.#assertOpen()
    return readVersions(this.shard, options)
  }

  metrics(): Metrics {
    return collectMetrics(this.#ctx.counters, this.state, this.#usage().requests, this.#ctx.cache, this.#latencies)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    // What is being opened at this moment has to be let go as well.
    await this.#reopening?.catch(() => undefined)
    this.#stopFollowing()
    await this.shard.close()
    this.#dropBuffer('close()')
  }
}

function checkIdentity(
  options: ResolvedOptions,
  state: ShardState | undefined,
  expectAtLeast: number | undefined,
): void {
  const { name, job, partitions, mode, force, table } = options
  const version = state?.carried.version ?? 0
  if (expectAtLeast !== undefined && version < expectAtLeast) {
    const found = state ? `is at version ${version}` : 'does not exist in this storage'
    throw new TidemarkError(
      'ROLLED_BACK',
      `Store "${name}" ${found}, but version ${expectAtLeast} was known before: the storage was emptied or rolled back. Restore a backup, or open without expectAtLeast to go on from here.`,
    )
  }
  if (state === undefined) return
  const { config } = state.manifest
  if (job !== undefined && config.job !== undefined && job !== config.job) {
    throw invalid(
      `Store "${name}" belongs to the job "${config.job}", not "${job}"; open it as that job, or choose another name.`,
    )
  }
  if (partitions !== undefined && partitions !== config.partitions) {
    throw invalid(
      `Store "${name}" has ${config.partitions} partitions, not ${partitions}; their number is fixed when it is created.`,
    )
  }
  if (mode !== 'follower' && state.carried.mode !== mode && !force) {
    throw new TidemarkError(
      'CONFLICT',
      `Store "${name}" is written in ${state.carried.mode} mode; open it in that mode, or with force: true when no such writer lives.`,
      { retryable: false },
    )
  }
  new TableSpec('', new Uint8Array(0), table).checkRecorded(recordedCodec(state, new Uint8Array(0)))
}

const MAX_LABEL = 65_536

function checkLabel(label: unknown): string | undefined {
  if (label === undefined) return undefined
  if (typeof label !== 'string' || !isWellFormed(label) || label.length > MAX_LABEL) {
    throw invalid(`label: a string of at most ${MAX_LABEL} characters is expected.`)
  }
  return label
}

function encodeMeta(meta: unknown): string | undefined {
  if (meta === undefined) return undefined
  let text: string | undefined
  try {
    text = JSON.stringify(meta)
  } catch (cause) {
    throw invalid('meta: it cannot be written as JSON.', cause)
  }
  if (text === undefined) throw invalid('meta: it cannot be written as JSON.')
  return text
}
