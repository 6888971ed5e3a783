/**
 * The way of changes into the log: one append in flight, in order; commits that come meanwhile join the next entry. What
 * surely did not happen fails together with all that queued behind it, so that the changes can go back in their order;
 * after a lost or unknown append nothing more is appended (PROTOCOL.md, section 2).
 */
import { TidemarkError, isTidemarkError } from '../errors.js'
import { resolveAppend } from '../log/append.js'
import { mergeOffsets, type OffsetMap } from '../log/offsets.js'
import type { CodedRuns, SegmentRef } from '../manifest/manifest.js'
import { buildEntry, setExpiry, type BuiltEntry, type Reset } from './build.js'
import { currentTime, moment, noteTime, type LogContext, type ShardContext } from './context.js'
import { Layer } from './layer.js'
import { assertNotTrimmed, recoveryStart } from './open.js'
import { rewriting } from './parts.js'
import { layerCodecs, type ShardState } from './state.js'
import type { Upkeep } from './upkeep.js'

export interface CommitRequest {
  /** Sealed: every cell has its bytes. */
  readonly layer: Layer
  readonly offsets: OffsetMap
  readonly force: boolean
  readonly label: string | undefined
  readonly meta: string | undefined
}

export interface CommitResult {
  readonly version: number
  /** Bytes of the entry and of segments that it refers to, and the storage requests that writing them took. */
  readonly bytes: number
  readonly requests: number
}

/** Puts another state in place of the present one. */
export interface ResetRequest {
  readonly label: string | undefined
  readonly meta: string | undefined
  /** Waited for at its turn; when it fails, only the reset does. */
  readonly prepared: Promise<PreparedReset>
}

export interface PreparedReset {
  /** The offsets afterwards, given those before. */
  readonly offsets: (before: OffsetMap) => OffsetMap
  /** What to put there, given the state at its turn; uploads, if anything, by the way. */
  readonly build: (state: ShardState, signal: AbortSignal) => Promise<ResetBuild>
}

export interface ResetBuild {
  readonly reset: Reset
  readonly layer: Layer | undefined
}

export interface ResetResult extends CommitResult {
  /** The version that undoes it. */
  readonly undo: number
}

interface Waiting {
  /** Undefined for a checkpoint: an entry that only carries what is ready. */
  readonly request: CommitRequest | undefined
  readonly reset: ResetRequest | undefined
  /** Behind a reset they are known only at their turn. */
  readonly offsets: OffsetMap | ((before: OffsetMap) => OffsetMap) | undefined
  readonly resolve: (result: CommitResult) => void
  readonly reject: (error: unknown) => void
}

export interface CommitterHost {
  state(): ShardState
  /** The entry is durable: the state moves on. */
  advance(built: BuiltEntry): void
  /** The handle may not write any more. */
  poison(error: TidemarkError): void
  /** Changes of commits that surely did not happen, oldest first. */
  giveBack(layers: readonly Layer[]): void
}

export class Committer {
  readonly #ctx: ShardContext
  readonly #log: LogContext
  readonly #upkeep: Upkeep
  readonly #host: CommitterHost
  #queue: Waiting[] = []
  /** Of what is in flight and the queue, oldest first, and the sum of their sizes. */
  #waiting: Layer[] = []
  #bytes = 0
  /** The same newest first, until it changes. */
  #layers: readonly Layer[] | undefined
  /** Why nothing more is appended. */
  #ended: TidemarkError | undefined
  #inFlight: readonly Waiting[] = []
  /** Segments that were written for what is in flight. */
  #uploaded: readonly SegmentRef[] = []
  #running: Promise<void> | undefined
  /** Settles with the newest reset on its way. */
  #resetting: Promise<void> | undefined
  #offsets: OffsetMap
  /** Of the reset whose turn it is. */
  #ready: (ResetBuild & { readonly offsets: OffsetMap }) | undefined

  constructor(ctx: ShardContext, log: LogContext, upkeep: Upkeep, host: CommitterHost) {
    this.#ctx = ctx
    this.#log = log
    this.#upkeep = upkeep
    this.#host = host
    this.#offsets = host.state().carried.offsets
  }

  /** Layers on their way, newest first: what was put stays readable. */
  get layers(): readonly Layer[] {
    this.#layers ??= [...this.#waiting].reverse()
    return this.#layers
  }

  /** Memory of the changes on their way, about. */
  get bytes(): number {
    return this.#bytes
  }

  /** Committed offsets with all that is on its way laid over them; the same map as long as nothing has changed them. */
  get offsets(): OffsetMap {
    return this.#offsets
  }

  /** What the offsets may turn out to be when something on its way fails: the committed ones, and those of each commit. */
  get possibleOffsets(): readonly OffsetMap[] {
    const onTheWay = [...this.#inFlight, ...this.#queue].flatMap(({ offsets }) =>
      typeof offsets === 'object' ? offsets : [],
    )
    return [this.#host.state().carried.offsets, ...onTheWay]
  }

  /** Settles when what is read now is no longer about to be put away by a reset; `undefined` when it is not. */
  get resetting(): Promise<void> | undefined {
    return this.#resetting
  }

  /** Throws, and takes nothing, when the offsets go back; from then on the committer owns the layer. */
  commit(request: CommitRequest): Promise<CommitResult> {
    const { offsets: given, force } = request
    if (given.size > 0 && this.#isUncertain()) {
      return this.#enqueue({ request, reset: undefined, offsets: (before) => mergeOffsets(before, given, force) })
    }
    const offsets = mergeOffsets(this.#offsets, given, force)
    this.#offsets = offsets
    return this.#enqueue({ request, reset: undefined, offsets: given.size > 0 ? offsets : undefined })
  }

  /** Whether the offsets after all that is on its way are not known yet. */
  #isUncertain(): boolean {
    return [...this.#inFlight, ...this.#queue].some(isUncertain)
  }

  /** Takes its place in the queue in this very turn. */
  async reset(request: ResetRequest): Promise<ResetResult> {
    let undo = 0
    const prepared = request.prepared.then(({ offsets, build }): PreparedReset => ({
      offsets,
      build: (state, signal) => {
        undo = state.carried.version
        return build(state, signal)
      },
    }))
    // It is heard at its turn.
    prepared.catch(() => undefined)
    const resetting = this.#enqueue({ request: undefined, reset: { ...request, prepared }, offsets: undefined })
    const ended = (): void => {
      if (this.#resetting === settled) this.#resetting = undefined
    }
    const settled = resetting.then(ended, ended)
    this.#resetting = settled
    return { ...(await resetting), undo }
  }

  /** Appends an entry for what is ready to be carried, unless an earlier one carries it. */
  async carry(): Promise<void> {
    await this.#enqueue({ request: undefined, reset: undefined, offsets: undefined })
  }

  #enqueue(waiting: Omit<Waiting, 'resolve' | 'reject'>): Promise<CommitResult> {
    return new Promise((resolve, reject) => {
      const layer = waiting.request?.layer
      if (layer && !layer.empty) {
        this.#waiting.push(layer)
        this.#bytes += layer.size
        this.#layers = undefined
      }
      this.#queue.push({ ...waiting, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Resolves when nothing is in flight or queued. */
  async idle(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    // One turn later, so that all commits of one turn of the program are there to be joined.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      let sent = false
      if (!(await this.#prepareReset())) continue
      try {
        await this.#upkeep.admit()
        if (this.#ended) throw this.#ended
        this.#inFlight = this.#take()
        const built = await this.#build(this.#inFlight)
        if (built === undefined) this.#settle({ version: this.#host.state().carried.version, bytes: 0, requests: 0 })
        else {
          sent = true
          await this.#append(built)
        }
      } catch (error) {
        this.#fail(error, sent)
      }
    }
    // In the same turn in which the queue was seen empty: a commit that comes next starts anew.
    this.#running = undefined
  }

  /** Makes ready what is next, if that is a reset; what can't be made ready fails alone. */
  async #prepareReset(): Promise<boolean> {
    const [next] = this.#queue
    if (this.#ended || !next?.reset) return true
    try {
      const state = this.#host.state()
      const { offsets, build } = await next.reset.prepared
      this.#ready = { ...(await build(state, this.#upkeep.signal)), offsets: offsets(state.carried.offsets) }
      return true
    } catch (error) {
      this.#queue.shift()
      next.reject(error)
      return false
    }
  }

  /** The first in the queue, with all that follow and may share its entry. */
  #take(): Waiting[] {
    const joins = ({ request, offsets }: Waiting): boolean =>
      request !== undefined && offsets === undefined && request.label === undefined && request.meta === undefined
    let count = 1
    if (joins(this.#queue[0]!)) while (count < this.#queue.length && joins(this.#queue[count]!)) count++
    return this.#queue.splice(0, count)
  }

  async #build(batch: readonly Waiting[]): Promise<BuiltEntry | undefined> {
    const { request, reset, offsets: known } = batch[0]!
    if (reset) return this.#buildReset(reset)
    if (request === undefined) return this.#buildUpkeep()
    const offsets = typeof known === 'function' ? known(this.#host.state().carried.offsets) : known
    let { layer } = request
    if (batch.length > 1) {
      layer = new Layer()
      for (const waiting of batch) layer.absorb(waiting.request!.layer)
    }
    const time = this.#time()
    setExpiry(layer, time, this.#ctx.clock.monotonic())
    const changes =
      layer.bytes > this.#ctx.checkpoint.bytes ? { references: await this.#upload(layer, time) } : { layer }
    const { label, meta } = request
    const { edits } = this.#upkeep
    const collect = this.#upkeep.collection
    const change = { time, ...changes, offsets, label, meta, edits, collect }
    return buildEntry(this.#log, this.#host.state(), { kind: 'commit', ...change })
  }

  /** An entry for what is ready, if anything still fits. */
  #buildUpkeep(): BuiltEntry | undefined {
    const { edits, collection: collect } = this.#upkeep
    const kind = collect ? 'collect' : 'fold'
    const built = buildEntry(this.#log, this.#host.state(), { kind, time: this.#time(), edits, collect })
    return built.carries.length > 0 || collect ? built : undefined
  }

  #buildReset({ label, meta }: ResetRequest): BuiltEntry {
    const { reset, layer, offsets } = this.#ready!
    this.#ready = undefined
    const change = { time: this.#time(), layer, offsets, label, meta, reset }
    return buildEntry(this.#log, this.#host.state(), { kind: 'reset', ...change })
  }

  #time(): number {
    return Math.max(this.#host.state().carried.time, currentTime(this.#ctx, this.#log))
  }

  /** Changes that alone would call for a fold go into segments at once, and a later one lists them as they are. */
  async #upload(layer: Layer, time: number): Promise<CodedRuns> {
    const { writeLayers } = await rewriting.load()
    const run = await writeLayers(this.#ctx, this.#log, [layer], false, time, this.#upkeep.signal)
    this.#uploaded = run
    return { codecs: layerCodecs(layer), runs: run.length > 0 ? [run] : [] }
  }

  async #append(built: BuiltEntry): Promise<void> {
    const { log } = this.#log
    const { n } = built.entry
    let requests = 0
    const from = recoveryStart({ ...this.#host.state(), manifest: built.manifest ?? this.#host.state().manifest })
    const context = { log, clock: this.#ctx.clock, timeoutMs: this.#ctx.timeoutMs }
    const sent = moment(this.#ctx, this.#log)
    const resolution = await resolveAppend(context, built.entry, () => {
      requests++
      return log.append(n, built.bytes, from)
    })
    if (resolution.outcome === 'committed') {
      await assertNotTrimmed(this.#ctx, this.#log, n, resolution.time)
      // Nobody appends after an entry before it is there.
      this.#log.free = sent
      noteTime(this.#ctx, this.#log, resolution.time)
      this.#host.advance(built)
      const version = built.entry.carried!.version
      const bytes = this.#uploaded.reduce((sum, segment) => sum + segment.length, built.bytes.length)
      this.#settle({ version, bytes, requests: requests + this.#uploaded.length })
    } else if (resolution.outcome === 'lost') {
      throw new TidemarkError(
        'FENCED',
        `Store "${this.#ctx.store}" was taken over by another writer, which wrote entry ${n}. Call reopen() to take it back.`,
      )
    } else {
      throw new TidemarkError(
        'UNKNOWN_OUTCOME',
        `It is not known whether version ${n} of store "${this.#ctx.store}" was written. Call reopen() and look.`,
        { cause: resolution.cause },
      )
    }
  }

  #settle(result: CommitResult): void {
    const done = this.#inFlight
    this.#inFlight = []
    this.#uploaded = []
    const layers = done.filter(({ request }) => request && !request.layer.empty)
    for (const { size } of this.#waiting.splice(0, layers.length)) this.#bytes -= size
    this.#layers = undefined
    if (done.some(isUncertain) && !this.#isUncertain()) this.#offsets = this.#host.state().carried.offsets
    for (const { resolve } of done) resolve(result)
  }

  #fail(error: unknown, sent: boolean): void {
    const unknown = isTidemarkError(error) && error.code === 'UNKNOWN_OUTCOME'
    const failed = [...this.#inFlight, ...this.#queue]
    // What may have been written must not be offered for writing again.
    const unwritten = sent && unknown ? this.#queue : failed
    this.#ctx.uploads.drop(this.#uploaded)
    this.#uploaded = []
    this.#inFlight = []
    this.#queue = []
    this.#waiting = []
    this.#bytes = 0
    this.#layers = undefined
    this.#offsets = this.#host.state().carried.offsets
    this.#host.giveBack(unwritten.flatMap(({ request }) => (request ? [request.layer] : [])))
    if (isTidemarkError(error) && (unknown || error.code === 'FENCED')) {
      this.#ended = error
      this.#host.poison(error)
    }
    for (const { reject } of failed) reject(error)
  }
}

/** Whether the offsets after it are known only at its turn. */
function isUncertain({ reset, offsets }: Waiting): boolean {
  return reset !== undefined || typeof offsets === 'function'
}
