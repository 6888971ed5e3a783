/**
 * The rows behind a live range. They are read once, and from then on follow the differences of states: what did not change
 * is neither read nor decoded again. Of a range with a limit only its first rows are known, and read anew when too few of
 * them are left.
 */
import { compareBytes, countInFront, equalBytes } from '../../bytes/compare.js'
import { isPromise, tell } from '../../callback.js'
import { TidemarkError, isExpired } from '../../errors.js'
import type { Slot } from '../../engine/slot.js'
import { statesOf, type ShardState } from '../../engine/state.js'
import type { Live, LiveState } from './live.js'
import { FIRST_PAUSE_MS, LONGEST_PAUSE_MS, readRepaired, type Observed } from './observed.js'
import { slotRange, type KeyBounds } from '../bounds.js'
import type { Hold } from '../table-host.js'

interface Place {
  /** Rows are in the order of their keys, … */
  readonly key: Uint8Array
  /** … and then of their partitions. */
  readonly partition: number
}

/** A row as a source finds it. */
export interface LiveRow<T> extends Place {
  /** What is stored: with the same bytes the entry stays the same. */
  readonly bytes: Uint8Array
  /** In milliseconds since 1970; 0: never. */
  readonly expires: number
  /** The entry as the program sees it. */
  entry(): T
}

/** A row that is there now, or the place of one that is gone. */
export type LiveChange<T> = LiveRow<T> | (Place & { readonly bytes: undefined })

/** Where rows come from. */
export interface LiveSource<T> {
  /** The first rows, `limit` at most, of those that live on after `now`, in their order. What is in memory comes at once. */
  read(state: ShardState, limit: number, now: number): LiveRow<T>[] | Promise<LiveRow<T>[]>
  /** Whether anything can differ, as far as is known without reading. It is asked at each version. */
  mayDiffer(before: ShardState, after: ShardState): boolean
  /** The rows that differ, in any order; `undefined`: all are to be read anew. */
  changes(before: ShardState, after: ShardState): Promise<LiveChange<T>[] | undefined>
}

export interface LiveWindow {
  readonly limit: number
  readonly reverse: boolean
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] }

type Shown<T> = Omit<LiveRow<T>, 'entry'> & { readonly entry: T }

/** After so long it looks at the clock again, which may have been set. */
const LONGEST_WAIT_MS = 60_000

export class LiveRows<T> implements LiveState {
  readonly #handle: Observed
  readonly #source: LiveSource<T>
  /** It is shown there. */
  readonly #live: Writable<Live<T>>
  readonly #limit: number
  readonly #sign: number
  readonly ready: Promise<void>
  #settle!: (error?: unknown) => void
  /** The rows are those of this state; `undefined`: they have to be read. */
  #shown: ShardState | undefined
  /** Keeps it readable while there is a newer one. */
  #hold: Hold | undefined
  #rows: readonly Shown<T>[] = []
  /** There may be more rows behind them. */
  #isCut = false
  /** When the first of them expires. */
  #due = Infinity
  #cancelDue = (): void => undefined
  #cancelRetry = (): void => undefined
  #pause = FIRST_PAUSE_MS
  #isRunning = false
  #isStopped = false

  constructor(handle: Observed, source: LiveSource<T>, { limit, reverse }: LiveWindow, live: Live<T>) {
    this.#handle = handle
    this.#source = source
    this.#live = live
    this.#limit = limit
    this.#sign = reverse ? -1 : 1
    this.ready = new Promise((resolve, reject) => {
      this.#settle = (error?: unknown) => (error === undefined ? resolve() : reject(error as Error))
    })
    this.ready.catch(() => undefined)
  }

  /** Only the newest state counts. */
  push(state: ShardState): void {
    const shown = this.#shown
    if (shown && !this.#isRunning && !this.#source.mayDiffer(shown, state)) {
      this.#shown = state
      this.#release()
      return
    }
    if (shown) this.#hold ??= this.#handle.hold(shown)
    // Not within the store's own work.
    void Promise.resolve().then(() => this.retry())
  }

  retry(): void {
    this.#cancelRetry()
    if (!this.#isRunning && !this.#isStopped) void this.#run()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancelRetry()
    this.#cancelDue()
    this.#release()
    this.#settle(new TidemarkError('CLOSED', 'The live range was closed before its entries were there.'))
  }

  #release(): void {
    this.#hold?.release()
    this.#hold = undefined
  }

  async #run(): Promise<void> {
    const handle = this.#handle
    this.#isRunning = true
    this.#cancelDue()
    let hasFailed = false
    while (!hasFailed && !this.#isStopped && (this.#shown !== handle.state || this.#due <= handle.now())) {
      const { state } = handle
      const hold = handle.hold(state)
      try {
        const reading = this.#shown ? this.#follow(this.#shown, state) : this.#read(state)
        // What is in memory is shown in the turn of the call.
        const rows = isPromise(reading) ? await reading : reading
        if (!this.#isStopped) this.#show(rows)
        this.#release()
        this.#shown = state
        this.#hold = hold
        this.#pause = FIRST_PAUSE_MS
      } catch (cause) {
        hold.release()
        hasFailed = !this.#isStopped && !(await this.#goesOn(state, cause))
        if (hasFailed) this.#again(cause)
      }
    }
    this.#isRunning = false
    if (this.#isStopped || this.#shown === handle.state) this.#release()
    if (!this.#isStopped && !hasFailed) this.#wait()
  }

  /** Others have collected what was to be read: it is read anew, from the newest state. */
  async #goesOn(state: ShardState, cause: unknown): Promise<boolean> {
    if (!isExpired(cause)) return false
    if (this.#shown === undefined) {
      await this.#handle.catchUp().catch(() => undefined)
      return this.#handle.state !== state
    }
    this.#shown = undefined
    this.#release()
    return true
  }

  /** Tries once more later, unless a newer state or another table comes first. */
  #again(cause: unknown): void {
    this.#settle(cause)
    this.#handle.report('The entries of a live range could not be read; it tries again later.', cause)
    this.#cancelRetry = this.#handle.options.clock.timer(this.#pause, () => this.retry(), { background: true })
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS)
  }

  /** Looks again when the first row expires. */
  #wait(): void {
    if (this.#due === Infinity) return
    const ms = Math.min(Math.max(this.#due - this.#handle.now(), 1), LONGEST_WAIT_MS)
    this.#cancelDue = this.#handle.options.clock.timer(ms, () => this.retry(), { background: true })
  }

  #read(state: ShardState): readonly Shown<T>[] | Promise<readonly Shown<T>[]> {
    const now = this.#handle.now()
    const take = (rows: readonly LiveRow<T>[]): readonly Shown<T>[] => {
      this.#isCut = rows.length >= this.#limit
      return rows.map((row) => shownOf(row, this.#find(row, 0).known))
    }
    const first = this.#source.read(state, this.#limit, now)
    if (!isPromise(first)) return take(first)
    let begun: typeof first | undefined = first
    const again = async (from?: ShardState): Promise<LiveRow<T>[]> => {
      const reading = begun ?? this.#source.read(from!, this.#limit, now)
      begun = undefined
      return reading
    }
    return readRepaired(this.#handle, [state], again).then(take)
  }

  async #follow(shown: ShardState, state: ShardState): Promise<readonly Shown<T>[]> {
    const changes = await this.#changes(shown, state)
    if (changes === undefined) return this.#read(state)
    const rows = this.#after(changes)
    return this.#isCut && rows.length < this.#limit ? this.#read(state) : rows
  }

  async #changes(shown: ShardState, state: ShardState): Promise<readonly LiveChange<T>[] | undefined> {
    if (shown.carried.version === state.carried.version && equalBytes(shown.logId, state.logId)) return []
    return readRepaired(this.#handle, [shown, state], (was, is) => this.#source.changes(was!, is!))
  }

  /** The rows with their changes, without those that have expired. */
  #after(changes: readonly LiveChange<T>[]): readonly Shown<T>[] {
    const now = this.#handle.now()
    if (changes.length === 0 && this.#due > now) return this.#rows
    const rows: Shown<T>[] = []
    let at = 0
    for (const change of [...changes].sort((a, b) => this.#compare(a, b))) {
      const { place, known } = this.#find(change, at)
      for (; at < place; at++) rows.push(this.#rows[at]!)
      if (known) at++
      // Nobody knows what comes behind the last row.
      const isBeyond = !known && this.#isCut && at === this.#rows.length
      if (change.bytes && !isBeyond) rows.push(shownOf(change, known))
    }
    for (; at < this.#rows.length; at++) rows.push(this.#rows[at]!)
    const alive = rows.filter(({ expires }) => expires === 0 || expires > now)
    if (alive.length > this.#limit) this.#isCut = true
    return alive.slice(0, this.#limit)
  }

  #compare(a: Place, b: Place): number {
    return this.#sign * compareBytes(a.key, b.key) || a.partition - b.partition
  }

  /** The place of a row, from the row `from` on, and what stands there when it is the same. */
  #find(row: Place, from: number): { readonly place: number; readonly known: Shown<T> | undefined } {
    const rows = this.#rows
    const place = from + countInFront(rows.length - from, (i) => this.#compare(rows[from + i]!, row) < 0)
    const known = rows[place]
    return { place, known: known && this.#compare(known, row) === 0 ? known : undefined }
  }

  #show(rows: readonly Shown<T>[]): void {
    const before = this.#rows
    this.#rows = rows
    this.#due = Infinity
    for (const { expires } of rows) if (expires > 0 && expires < this.#due) this.#due = expires
    const isSame = rows.length === before.length && rows.every(({ entry }, i) => entry === before[i]!.entry)
    const live = this.#live
    if (isSame && live.isReady) return
    if (!isSame) live.current = Object.freeze(rows.map(({ entry }) => entry))
    live.isReady = true
    this.#settle()
    for (const listener of live.listeners) {
      tell(
        () => (this.#isStopped || !live.listeners.has(listener) ? undefined : listener()),
        (cause) => this.#handle.report('A listener of a live range threw.', cause),
      )
    }
  }
}

function shownOf<T>(row: LiveRow<T>, known: Shown<T> | undefined): Shown<T> {
  const { key, partition, bytes, expires } = row
  const entry = known && equalBytes(known.bytes, bytes) ? known.entry : row.entry()
  return { key, partition, bytes, expires, entry }
}

/** Whether a range of a table can differ in two states, as far as is known without reading. */
export function mayChange(slots: readonly Slot[], bounds: KeyBounds, before: ShardState, after: ShardState): boolean {
  const was = statesOf(before)
  const is = statesOf(after)
  return was.length !== is.length || is.some((state, at) => mayChangeIn(slots, bounds, was[at]!, state))
}

/** The same of two states of one log. */
function mayChangeIn(slots: readonly Slot[], bounds: KeyBounds, before: ShardState, after: ShardState): boolean {
  // Where both stand on one manifest only the entries between them count.
  const isApart = before.manifest !== after.manifest || !equalBytes(before.logId, after.logId)
  if (isApart || (after.resetAt ?? 0) > before.head) return true
  for (let i = after.tail.length - 1; i >= 0 && after.tail[i]!.n > before.head; i--) {
    const { memtable, references } = after.tail[i]!
    if (references) return true
    for (const slot of slots) {
      if (!memtable?.slots.has(slot.id)) continue
      const isNamed = memtable.sorted(slot, slotRange(slot, bounds)).length > 0
      if (isNamed || memtable.ranges(slot).length > 0) return true
    }
  }
  return false
}
