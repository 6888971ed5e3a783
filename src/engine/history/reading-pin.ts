/**
 * Keeps what is read of a log that others collect: a pin that ends by itself a grace period after it was made, and is made
 * anew for as long as the reading goes on (R40). It keeps segments and is no version: nothing is folded for it (docs/format.md).
 */
import { ID_BYTES } from '../../log/entry.js'
import { encodePin } from '../../log/pin.js'
import { pinName } from '../../manifest/listed-names.js'
import { currentTime, moment, noteTime, type Held, type LogContext, type ShardContext } from '../context.js'
import { isKept } from './pin-version.js'
import { pinOf, readPin, type StoredPin } from './pins.js'
import type { Moment } from '../moment.js'
import { runsOf, segmentsOf, type OpenLog, type ShardState } from '../state.js'

/** Where others collect: a step of what is read through an open handle. */
export async function keep(
  ctx: ShardContext,
  log: LogContext,
  present: ShardState,
  state: ShardState,
  own: Held,
  isHeld = (): boolean => ctx.held.has(own),
): Promise<void> {
  if (own.reading) return own.reading.use()
  const reading = new Reading(ctx, log, state)
  own.reading = reading
  const isKept = await reading.begin(present, own.keptAt)
  // The last step was while it began.
  if (isKept && !isHeld()) await reading.end()
}

/** What is read of the states of several logs: each is kept in its own. */
class Readings {
  readonly #parts: readonly { readonly of: OpenLog; readonly state: ShardState; readonly held: Held }[]
  #isOver = false

  constructor(own: Held, parts: readonly { readonly of: OpenLog; readonly state: ShardState }[]) {
    this.#parts = parts.map(({ of, state }) => ({
      of,
      state,
      held: { state, usedAt: own.usedAt, trim: own.trim, keptAt: of.log.free },
    }))
  }

  async use(): Promise<void> {
    const isHeld = (): boolean => !this.#isOver
    await Promise.all(
      this.#parts.map(async ({ of: { context, log, state: present }, state, held }) => {
        if (isFresh(context, held)) return
        // Whoever may not write pins reads on without, and finds out later what was collected.
        await keep(context, log, present, state, held, isHeld).catch(() => undefined)
      }),
    )
  }

  async end(): Promise<void> {
    this.#isOver = true
    for (const { held } of this.#parts) await held.reading?.end()
  }
}

/** A step of what is read of a state that was put together. */
export function keepAll(own: Held, parts: readonly { readonly of: OpenLog; readonly state: ShardState }[]): void {
  own.reading ??= new Readings(own, parts)
  void own.reading.use()
}

/** Whether what is read was there so lately that nobody need know of it yet. */
export function isFresh({ clock, graceMs }: Pick<ShardContext, 'clock' | 'graceMs'>, own: Held): boolean {
  return own.reading === undefined && clock.monotonic() - (own.keptAt?.local ?? 0) < graceMs / 4
}

export class Reading {
  readonly #ctx: ShardContext
  readonly #log: LogContext
  readonly #state: ShardState
  /** The pin that the state was taken from, if it was. */
  readonly #from: StoredPin | undefined
  #blob: string | undefined
  /** By the local clock. */
  #madeAt = -Infinity
  #isOver = false

  constructor(ctx: ShardContext, log: LogContext, state: ShardState, from?: StoredPin) {
    this.#ctx = ctx
    this.#log = log
    this.#state = state
    this.#from = from
  }

  /**
   * Resolves with whether what is to be read was still there when the pin was; `present` is the newest state known. A reader
   * that may not write reads on without, and finds out later what was collected.
   */
  async begin(present: ShardState, keptAt?: Moment): Promise<boolean> {
    if (segmentsOf(this.#state).length === 0) return true
    await this.use()
    const { storage, graceMs } = this.#ctx
    // Whatever condemned it meanwhile deletes it only later, and looks for pins before.
    const isFresh = keptAt !== undefined && elapsed(keptAt, moment(this.#ctx, this.#log)) < graceMs
    const isThere =
      isFresh ||
      (this.#from
        ? (await readPin(storage.blobs, this.#from.blob)) !== undefined
        : await isKept(this.#ctx, this.#log, present, this.#state.carried.version))
    if (!isThere) await this.end()
    return isThere
  }

  /** A step of the reading. */
  async use(): Promise<void> {
    const { clock, graceMs, storage } = this.#ctx
    const now = clock.monotonic()
    if (this.#isOver || now - this.#madeAt < graceMs / 2) return
    this.#madeAt = now
    const blob = pinName(this.#log.path, clock.random(ID_BYTES))
    try {
      noteTime(this.#ctx, this.#log, (await storage.blobs.put(blob, this.#encode())).time)
    } catch {
      // Early enough that the one before has not ended by then.
      this.#madeAt = now - graceMs / 4
      return
    }
    const old = this.#blob
    this.#blob = blob
    await this.#remove(this.#isOver ? blob : old)
  }

  #encode(): Uint8Array {
    const { manifest } = this.#state
    const runs = runsOf(this.#state)
    const kept = { kind: 'reading', name: 'reading', label: undefined, ttlMs: this.#ctx.graceMs } as const
    const made = currentTime(this.#ctx, this.#log)
    return encodePin(pinOf(this.#state, this.#log.path, { ...manifest, runs }, undefined, { ...kept, made }))
  }

  async #remove(blob: string | undefined): Promise<void> {
    // One that stays ends by itself.
    if (blob !== undefined) await this.#ctx.storage.blobs.delete([blob]).catch(() => undefined)
  }

  async end(): Promise<void> {
    this.#isOver = true
    await this.#remove(this.#blob)
  }
}

function elapsed(from: Moment, to: Moment): number {
  const local = to.local - from.local
  return from.storage === undefined || to.storage === undefined ? local : Math.max(local, to.storage - from.storage)
}
