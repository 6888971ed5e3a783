/**
 * Transactions: reads and writes on a buffer of their own over what is committed or on its way, one after another. One is
 * valid when nothing was committed between the moment from which it reads and its own place in the log; else it is run again (R17).
 */
import type { Key } from '../bytes/keys.js'
import { TidemarkError, aborted, invalid, isExpired, isTidemarkError, throwIfAborted } from '../errors.js'
import type { Offsets } from '../log/offsets.js'
import { sameOffsets } from '../log/same-offsets.js'
import { lowestOffsets } from '../log/spans.js'
import { following } from '../engine/shard.js'
import { parseCommit, type CommitNotes } from './changes.js'
import type { StoreHandle } from './handle.js'
import { TransactionHost } from './snapshot.js'
import { any, checker, number, signal as aborting } from './options.js'
import type { TableSpec } from './table-spec.js'
import { Tables } from './tables.js'

/** Options of `transaction`. */
export interface TransactionOptions {
  /**
   * Where each source is to be read from next; committed in the same entry as the changes.
   * @default the offsets stay as they are
   * @when Set it when you read a source by yourself, and the changes depend on what is there.
   */
  readonly offsets?: Offsets | undefined
  /**
   * How often it is run before it fails with `CONFLICT`.
   * @default 16
   * @unit runs
   * @when Raise it when many writers meet all the time; 1 tells you of the first meeting.
   */
  readonly tries?: number | undefined
  /**
   * Ends the waiting, and the transaction as long as it is not being committed, with `ABORTED`.
   * @default none
   * @when Set it when whoever waits for the result may go away.
   */
  readonly signal?: AbortSignal | undefined
}

const check = checker('transaction', { signal: aborting, offsets: any<Offsets | undefined>(), tries: number(16, 1) })
const NESTED = 'One inside another would wait for itself; use the `tx` that is there.'

/** The reads and writes of a store inside a transaction; they throw `CLOSED` once its function has ended. */
export class Transaction<K extends Key = Key, V = unknown> extends Tables<K, V> {}

/** A transaction that is run until it counts. */
interface Call<T> {
  readonly body: (host: TransactionHost) => Promise<T> | T
  readonly notes: CommitNotes
  /** How many offsets had not come about when it was called. */
  readonly fallenOffsets: number
  readonly signal: AbortSignal | undefined
  /** It reads a version that is known to have been the newest at some moment since it was called. */
  isFresh: boolean
  /** It is not run again. */
  isLast: boolean
}

/** In the queue of transactions. */
interface Place {
  /** Resolves when those in front have left. */
  readonly turn: (signal: AbortSignal | undefined) => Promise<void>
  readonly isLeft: () => boolean
  readonly leave: () => void
}

export class TransactionQueue {
  readonly #handle: StoreHandle
  /** Settles when the last one in the queue has had its turn. */
  #last: Promise<unknown> = Promise.resolve()
  /** How many are in the queue, with the one whose turn it is. */
  #queued = 0
  /** The one whose function is running. */
  #running: TransactionHost | undefined
  /** The function of one is being called in this very turn of the program. */
  #calling = false

  constructor(handle: StoreHandle) {
    this.#handle = handle
  }

  /** Calls a function of the program; a transaction that it begins in that turn is refused. */
  readonly #calls = <T>(act: () => T): T => {
    this.#calling = true
    try {
      return act()
    } finally {
      this.#calling = false
    }
  }

  /** Whether the function of one is running. */
  get isRunning(): boolean {
    return this.#running !== undefined
  }

  /** As `run`, of a function that sees all tables, and `spec` as the default one. */
  async transaction<K extends Key, V, T>(
    spec: TableSpec,
    body: (tx: Transaction<K, V>) => Promise<T> | T,
    options: TransactionOptions,
    fallenOffsets: number,
  ): Promise<T> {
    if (typeof body !== 'function') throw invalid('transaction: a function is expected.')
    return this.run((host) => body(new Transaction<K, V>(host, spec)), options, fallenOffsets)
  }

  async run<T>(
    body: (host: TransactionHost) => Promise<T> | T,
    options: TransactionOptions,
    /** How many offsets had not come about when it was called. */
    fallenOffsets: number,
  ): Promise<T> {
    const { signal, offsets, tries } = check(options)
    const notes = parseCommit({ offsets })
    throwIfAborted(signal)
    this.#handle.assertWritable()
    if (this.#calling) throw invalid(`transaction: ${NESTED}`)
    const isFresh = this.#handle.options.mode !== 'shared'
    const call: Call<T> = { body, notes, fallenOffsets, signal, isFresh, isLast: false }
    let place = this.#queue()
    try {
      await place.turn(signal)
      for (let attempt = 1; ; attempt++) {
        call.isLast = attempt >= tries
        const done = await this.#attempt(call, place.leave)
        if (done) return done.result
        if (call.isLast) {
          throw new TidemarkError(
            'CONFLICT',
            `The transaction was run ${attempt} times, and each time something else was committed, or failed, meanwhile.`,
          )
        }
        if (place.isLeft()) {
          // Those behind it fell with it, and line up again as well.
          place = this.#queue()
          await place.turn(signal)
        }
      }
    } finally {
      place.leave()
    }
  }

  /** A place at the end of the queue, taken in this very turn of the program. */
  #queue(): Place {
    const before = this.#last
    const isFirst = this.#queued++ === 0
    let isIn = true
    let left = (): void => undefined
    this.#last = before.then(() => new Promise<void>((resolve) => (left = resolve)))
    return {
      turn: async (signal) => {
        if (!isFirst) await this.#until(before, signal, this.#handle.options.timeoutMs)
      },
      isLeft: () => !isIn,
      leave: () => {
        if (!isIn) return
        isIn = false
        this.#queued--
        // Its turn may come up only later.
        void before.then(() => left())
      },
    }
  }

  /** Runs it once; `undefined` when it has to be run again. */
  async #attempt<T>(call: Call<T>, leave: () => void): Promise<{ readonly result: T } | undefined> {
    const { body, notes, fallenOffsets, signal } = call
    const handle = this.#handle
    const { changes } = handle
    // No view shows a restore that is on its way, and what is read now would be committed on top of it.
    while (changes.restoring) await this.#until(changes.restoring, signal)
    throwIfAborted(signal)
    handle.assertWritable()
    const { revision, newest, others } = changes
    const { carried } = handle.state
    // Its own stand on those that are committed once all is settled that is on its way now, unless others write meanwhile.
    const expected = newest.then(() => (others === changes.others ? handle.state.carried : carried))
    const host = new TransactionHost(handle, signal, this.#calls)
    let result: T
    try {
      result = await this.#call(host, body, signal)
    } catch (error) {
      if (isExpired(error) && host.isOutdated) return undefined
      // Others may have changed by now what made it fail; that this can't be told is no other failure.
      const isSame = call.isLast || (await this.#confirm(call, others).catch(() => true))
      if (isSame) throw error
      return undefined
    }
    throwIfAborted(signal)
    handle.assertWritable()
    const { memtable } = host
    if (handle.readSet && notes.offsets.size > 0 && fallenOffsets !== changes.fallenOffsets) {
      throw new TidemarkError(
        'CONFLICT',
        'Offsets that were to be committed before those of the transaction were not, and its own say that they were. Look at store.offsets.',
      )
    }
    if (memtable.empty && notes.offsets.size === 0) {
      // A commit that it saw on its way may fail after all.
      if (!call.isFresh) leave()
      const isSame = await this.#confirm(call, others)
      if (isSame && (!host.isEarly || (await this.#until(newest, signal)))) return { result }
    } else if (revision === changes.revision) {
      const committing = changes.commit(memtable, notes, 'transaction')
      // The next one may begin: it sees this one on its way.
      leave()
      try {
        await committing
        return { result }
      } catch (error) {
        if (!isTidemarkError(error) || error.code !== 'CONFLICT') throw error
      }
    }
    if (notes.offsets.size > 0) {
      await this.#until(changes.newest, signal)
      if (sameOffsets(lowestOffsets(await expected), lowestOffsets(handle.state.carried))) return undefined
      throw new TidemarkError(
        'CONFLICT',
        'Other offsets were committed while the transaction ran; what it has read from its sources may be done already. Look at store.offsets.',
      )
    }
    return undefined
  }

  /**
   * Whether nobody else has written since; the handle has caught up by then, so that what runs again reads what was the newest
   * after it was called.
   */
  async #confirm(call: Pick<Call<unknown>, 'isFresh' | 'signal'>, others: number): Promise<boolean> {
    if (call.isFresh) return true
    const { shard, changes } = this.#handle
    await this.#until(following.loaded!.confirm(shard), call.signal)
    call.isFresh = true
    return changes.others === others
  }

  async #call<T>(
    host: TransactionHost,
    body: (host: TransactionHost) => Promise<T> | T,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    this.#running = host
    try {
      const running = this.#calls(() => body(host))
      return await this.#until(Promise.resolve(running), signal)
    } finally {
      this.#running = undefined
      host.end()
    }
  }

  /**
   * Waits for `promise`, the signal or the end of the store; with `patienceMs` at most until the function whose turn it is
   * has been quiet for so long: it may be waiting for the very one that waits here.
   */
  #until<T>(promise: Promise<T>, signal: AbortSignal | undefined, patienceMs?: number): Promise<T> {
    const { waits, options } = this.#handle
    let done = (): void => undefined
    const ended = new Promise<never>((_, reject) => {
      let cancel = (): void => undefined
      const abort = (): void => reject(aborted(signal!))
      const arm = (ms: number): void => {
        cancel = options.clock.timer(ms, () => {
          const left = patienceMs! - (this.#running?.quietMs ?? 0)
          if (left > 0) arm(left)
          else reject(new TidemarkError('CONFLICT', `The transaction before this one does not end. ${NESTED}`))
        })
      }
      waits.add(reject)
      signal?.addEventListener('abort', abort, { once: true })
      if (patienceMs !== undefined) arm(patienceMs)
      done = () => {
        cancel()
        waits.delete(reject)
        signal?.removeEventListener('abort', abort)
      }
    })
    return Promise.race([promise, ended]).finally(done)
  }
}
