/**
 * One run of `consume`: the loop that takes the events of a source into the state of a store.
 *
 * - State, offsets and outputs of an event are committed together, between events. So wherever a run is cut off, the store
 *   holds exactly the effect of the events below the committed positions.
 * - One event is in hand at a time, whatever the number of partitions. The next one of its partition is asked for after it.
 * - An error ends the run, and what is uncommitted is dropped, so that the state never runs ahead of the offsets.
 * - The loop looks at the time every few events, and lets other tasks of the program run when it has run for long.
 */
import { TidemarkError, isTidemarkError } from '../errors.js'
import type { Key } from '../bytes/keys.js'
import { partitionsOf } from '../engine/shards/spans.js'
import type { Position } from '../log/offsets.js'
import type { PartitionRange } from '../manifest/clip.js'
import type { StoreHandle } from '../store/handle.js'
import type { Store } from '../store/store.js'
import { OwnBuffer } from './buffer.js'
import { Epochs } from './epochs.js'
import { Fingerprints } from './fingerprints.js'
import { limit, type ConsumeOptions, type ConsumeResult, type Handler } from './options.js'
import { Outbox } from './outbox.js'
import { Positions } from './positions.js'
import { Readers, type Read } from './readers.js'
import type { HandledEvent, Source } from './source.js'
import { States } from './states.js'
import type { Turns } from './turns.js'

/** How long the loop may keep the thread from other tasks of the program, in milliseconds, and after how many events it looks. */
const TURN_MS = 10
const LOOK_EVENTS = 16
/** The longest wait that timers take, 24 days. A longer one is not waited for. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** How often in a row a commit is tried at most. */
const TRIES = 16

type Handled<V> = HandledEvent<V, Key | undefined>

export class Run<V, O> {
  readonly #store: Store
  readonly #handle: StoreHandle
  /** The shard on which the uncommitted changes were begun. `reopen()` opens another one, and drops them. */
  #shard: StoreHandle['shard']
  readonly #source: Source<V>
  readonly #handler: Handler<V, O>
  readonly #options: ConsumeOptions<O>
  readonly #turns: Turns | undefined
  readonly #everyMs: number
  readonly #everyEvents: number
  readonly #partitions: number
  /** The partitions of the shard. Events of others are left out. */
  readonly #range: PartitionRange
  /** The source has as many partitions as the store. Then those of other shards are not read. */
  readonly #isAligned: boolean
  readonly #positions: Positions
  readonly #readers: Readers
  readonly #states: States
  readonly #fingerprints: Fingerprints
  readonly #buffer: OwnBuffer
  readonly #outbox: Outbox<O>
  readonly #epochs: Epochs | undefined
  readonly #emit = (output: O): void => this.#outbox.emit(output)
  /** In shared mode: the events since the last commit. They are handled again when others have written before it. */
  #batch: Read<V>[] | undefined
  #events = 0
  #commits = 0
  #uncommitted = 0
  /** How many of these are not to be handled here. */
  #leftOut = 0
  /** Whether `everyMs` has passed since the first uncommitted event. */
  #due = false
  #cancelTimer = (): void => undefined
  #looks = 0
  #turnStart: number

  constructor(
    store: Store,
    handle: StoreHandle,
    source: Source<V>,
    handler: Handler<V, O>,
    options: ConsumeOptions<O>,
    turns?: Turns,
  ) {
    this.#store = store
    this.#handle = handle
    this.#shard = handle.shard
    this.#source = source
    this.#handler = handler
    this.#options = options
    this.#turns = turns
    this.#everyMs = limit('everyMs', options.everyMs, 1000, 0)
    // With no time to wait, each event is due at once.
    this.#everyEvents = this.#everyMs === 0 ? 1 : limit('everyEvents', options.everyEvents, 10_000, 1)
    this.#partitions = source.partitions ?? store.partitions
    const { carried } = handle.state
    this.#range = partitionsOf(carried.own, handle.partitions)
    this.#isAligned = this.#partitions === handle.partitions
    this.#positions = new Positions(source.name, this.#partitions, carried, this.#range, this.#isAligned)
    if (handle.options.mode === 'shared') this.#batch = []
    this.#buffer = new OwnBuffer(handle)
    this.#states = new States(handle, this.#buffer, this.#isAligned)
    this.#readers = new Readers(handle.options.clock)
    this.#fingerprints = new Fingerprints(handle, this.#buffer, source.name, this.#range)
    this.#outbox = new Outbox(handle, this.#buffer, options.sink, this.#range)
    const place = { handle, host: this.#buffer, range: this.#range, source: source.name }
    this.#epochs =
      options.epoch && new Epochs(options.epoch, place, { waitMs: this.#everyMs, wake: () => this.#readers.wake() })
    this.#turnStart = handle.monotonic()
  }

  async go(): Promise<ConsumeResult> {
    const { signal } = this.#options
    const outbox = this.#outbox
    if (this.#batch && !this.#handle.writable().empty) await this.#store.commit()
    const stop = new AbortController()
    const onAbort = (): void => {
      stop.abort(signal!.reason)
      this.#readers.wake()
    }
    if (signal?.aborted) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await this.#fingerprints.open()
      await this.#epochs?.open()
      await outbox.open()
      await outbox.deliver(this.#store.version)
      if (!stop.signal.aborted) this.#startReading(stop.signal)
      await this.#loop(stop.signal)
      await this.#finish()
    } catch (error) {
      this.#cancelTimer()
      this.#discard()
      stop.abort(error)
      await this.#readers.close().catch(() => undefined)
      throw error
    } finally {
      outbox.close()
      this.#epochs?.end()
      this.#buffer.end()
      signal?.removeEventListener('abort', onAbort)
    }
    stop.abort()
    await this.#readers.close()
    return this.#result()
  }

  #startReading(signal: AbortSignal): void {
    const partitions = this.#partitions
    const [first, last] = this.#isAligned ? this.#range : [0, partitions - 1]
    for (const lane of this.#positions.lanes) {
      for (let i = first; i <= last; i++) {
        const from = this.#positions.from(i, lane)
        const fingerprint = this.#fingerprints.at(i, from)
        this.#readers.add(i, lane, this.#source.read(i, from, { signal, partitions, fingerprint }))
      }
    }
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const readers = this.#readers
    while (!signal.aborted) {
      const reader = readers.take()
      if (reader === undefined) {
        if (readers.open === 0) break
        if (this.#epochs?.isOver(readers.open)) await this.#endEpoch()
        else await readers.wait()
      } else if (!this.#epochs?.holds(reader)) {
        const read = reader.read as Read<V>
        const looking = this.#turns?.before('event')
        if (looking !== undefined) await looking
        if (signal.aborted) break
        const handling = this.#handleEvent(read)
        if (handling !== undefined) await handling
        this.#batch?.push(read)
        readers.ask(reader)
        if (++this.#looks >= LOOK_EVENTS) await this.#look()
      }
      if (this.#uncommitted >= this.#everyEvents || this.#due) await this.#commit()
    }
  }

  async #endEpoch(): Promise<void> {
    await this.#commit(false, this.#epochs!.label)
    this.#readers.giveBack(this.#epochs!.next())
  }

  /** Handles an event; `undefined` when nothing has to be waited for. */
  #handleEvent(read: Read<V>): Promise<void> | undefined {
    const { partition, lane, event } = read
    const next = this.#positions.after(partition, event, lane)
    if (next === undefined) return undefined
    const own = this.#states.partitionFor(partition, event.key)
    const [first, last] = this.#range
    if (own < first || own > last || this.#positions.isAhead(partition, event, own, lane)) {
      this.#leftOut++
      return this.#pass(read, next) as undefined
    }
    const done = this.#handler(event as Handled<V>, this.#states.of(own), this.#emit)
    const handled = (): void => {
      this.#events++
      this.#pass(read, next)
    }
    if (done === undefined) return handled() as undefined
    return (async () => {
      await (done as Promise<unknown>)
      handled()
    })()
  }

  /** Goes on behind an event. */
  #pass({ partition, lane, event }: Read<V>, next: Position): void {
    this.#positions.move(partition, next, lane)
    this.#fingerprints.move(partition, next, event)
    if (this.#uncommitted++ === 0) this.#startTimer()
  }

  /** Lets other tasks run when this one has run for long, so that timers and signals come through. */
  async #look(): Promise<void> {
    this.#looks = 0
    if (this.#handle.monotonic() - this.#turnStart < TURN_MS) return
    await this.#handle.options.clock.pause()
    this.#turnStart = this.#handle.monotonic()
  }

  #startTimer(): void {
    if (this.#everyMs > LONGEST_TIMER_MS) return
    const onTime = (): void => {
      this.#due = true
      this.#readers.wake()
    }
    // This timer keeps the process alive until the events that it has handled are committed.
    this.#cancelTimer = this.#handle.options.clock.timer(this.#everyMs, onTime)
  }

  /**
   * Commits the events that were handled. Where others write as well, these may have to be handled again on top of what
   * the others wrote. That is done in smaller and smaller parts, so that in the end one is committed before others come again.
   */
  async #commit(isLast = false, label?: string): Promise<void> {
    const outbox = this.#outbox
    let left = this.#batch ?? []
    let part = left.length
    if (this.#batch !== undefined) this.#batch = []
    for (let tries = 1; ;) {
      this.#cancelTimer()
      this.#due = false
      if (this.#isDirty || label !== undefined) {
        outbox.seal()
        this.#fingerprints.seal()
        this.#epochs?.seal(label !== undefined)
        try {
          this.#assertStands()
          const { offsets, moved } = this.#positions.take() ?? {}
          await this.#turns?.before('commit')
          await this.#buffer.commit(
            { offsets, label: part < left.length ? undefined : label },
            { moved, turn: this.#turns?.turn(isLast) },
          )
        } catch (error) {
          if (!this.#batch || !isConflict(error) || tries++ === TRIES || !(await this.#catchUp())) throw error
          part = Math.ceil(part / 2)
          await this.#handleEvents(left.slice(0, part))
          continue
        }
        this.#uncommitted = this.#leftOut = 0
        this.#positions.settle()
        this.#readers.keep(this.#positions.lanes)
        outbox.settle()
        this.#commits++
        this.#turns?.committed()
        await outbox.deliver(this.#store.version)
        await this.#tell()
      }
      left = left.slice(part)
      if (left.length === 0) return
      tries = 1
      await this.#handleEvents(left.slice(0, part))
    }
  }

  /** Throws `CONFLICT` when the program has opened the store again, or moved the source, since the events were handled. */
  #assertStands(): void {
    const { shard, state, options } = this.#handle
    if (shard === this.#shard && this.#positions.match(state.carried)) return
    throw new TidemarkError(
      'CONFLICT',
      `Store "${options.name}" was opened again, or its offsets of this source were changed, while consume() was running; call it again to go on from there.`,
    )
  }

  get #isDirty(): boolean {
    return this.#uncommitted > 0 || this.#outbox.isDirty || !this.#buffer.isEmpty
  }

  async #handleEvents(batch: Read<V>[]): Promise<void> {
    for (const read of batch) {
      await this.#handleEvent(read)
      if (++this.#looks >= LOOK_EVENTS) await this.#look()
    }
  }

  /** Drops the batch and takes up what others have written; false when they have moved this source out of the way. */
  async #catchUp(): Promise<boolean> {
    this.#events -= this.#uncommitted - this.#leftOut
    this.#uncommitted = this.#leftOut = 0
    // Unlike refresh(), this keeps the read set: reads of the program itself still count.
    await this.#handle.catchUp()
    this.#discard()
    this.#shard = this.#handle.shard
    await this.#outbox.again()
    await this.#epochs?.again()
    return this.#positions.follow(this.#handle.state.carried)
  }

  /** Tells the program how far the run is, and waits, so that events do not overtake what shows them. */
  async #tell(): Promise<void> {
    try {
      await this.#options.onProgress?.({ ...this.#result(), offsets: this.#store.offsets })
    } catch (cause) {
      this.#handle.report('The function onProgress of consume() failed.', cause)
    }
  }

  /** Commits the rest, and then the deletion of delivered outputs, so that the next run does not deliver them again. */
  async #finish(): Promise<void> {
    this.#cancelTimer()
    // What a sink has taken is deleted by one more.
    const label = this.#readers.open === 0 ? this.#epochs?.label : undefined
    if (this.#isDirty || label !== undefined) await this.#commit(this.#options.sink === undefined, label)
    if (this.#outbox.isDirty) await this.#commit(true)
  }

  #discard(): void {
    try {
      this.#buffer.discard()
    } catch {
      // The store was closed meanwhile, and that has dropped the buffer.
    }
  }

  #result(): ConsumeResult {
    return { events: this.#events, commits: this.#commits, version: this.#store.version }
  }
}

function isConflict(error: unknown): boolean {
  return isTidemarkError(error) && error.code === 'CONFLICT'
}
