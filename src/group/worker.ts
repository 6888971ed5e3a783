/**
 * Renews leases in a worker, so that a handler that keeps the thread for longer than a lease is not dying (G4). The thread
 * knocks three times in a lease; a worker that has heard no knock for five leases stops, as the thread is then as good as dead.
 *
 * A knock says all that the worker needs: which comes first, or is lost, does not matter. It also says the time of the thread,
 * by which the worker tells it when a renewal was sent. Both have one clock that counts from different moments; a knock takes
 * some time, so that a proof is never taken for younger than it is.
 */
import { checkClock, type Clock } from '../clock.js'
import { invalid, reasonOf } from '../errors.js'
import type { Storage } from '../storage/contract.js'
import type { Renewer } from './presence.js'
import { newState, Renewal, type Loss } from './renewal.js'
import type { Instant } from './since.js'

/** A worker as its thread sees it, or the thread as its worker does: `Worker`, `parentPort`, `self`, a `MessagePort`. */
export interface WorkerPort {
  /** Sends a message. */
  postMessage(message: never): void
}

/** From the thread. */
interface Knock {
  readonly tidemark: 'renew' | 'stop'
  readonly store: string
  readonly member: string
  readonly leaseMs: number
  readonly monotonic: number
}

/** To the thread. */
type Word =
  | { readonly tidemark: 'here' }
  | { readonly tidemark: 'proved'; readonly member: string; readonly sent: Instant }
  | { readonly tidemark: 'lost'; readonly member: string; readonly reason: Loss }
  | { readonly tidemark: 'failed'; readonly member: string; readonly message: string }

/** For so many leases the worker goes on while the thread does not answer. */
const LEASES = 5

/**
 * Renews the leases of a group in a worker, whose script calls `renewInWorker`. The worker is the program's own: it starts it,
 * and ends it after `leave()`. Several groups may share one.
 *
 * @throws `INVALID_ARGUMENT` when that is no worker
 * @example
 *     const worker = new Worker(new URL('./lease-worker.js', import.meta.url), { type: 'module' })
 *     const group = await joinGroup({ storage, name: 'orders', renewer: workerRenewer(worker) })
 */
export function workerRenewer(worker: WorkerPort): Renewer {
  checkPort('workerRenewer: a worker', worker)
  return {
    start({ store, member, leaseMs, clock, proved, lost, failed }) {
      let cancel = (): void => undefined
      const send = (tidemark: Knock['tidemark']): void => {
        const knock: Knock = { tidemark, store, member, leaseMs, monotonic: clock.monotonic() }
        try {
          worker.postMessage(knock as never)
        } catch (cause) {
          failed(cause)
        }
      }
      const knock = (): void => {
        send('renew')
        cancel = clock.timer(leaseMs / 3, knock)
      }
      const unhear = hear(worker, (message) => {
        const word = message as Word
        // Its script may have begun to listen only now.
        if (word.tidemark === 'here') send('renew')
        else if (word.member !== member) return
        else if (word.tidemark === 'proved') proved(word.sent)
        else if (word.tidemark === 'lost') lost(word.reason)
        else if (word.tidemark === 'failed') failed(new Error(word.message))
      })
      const unfail = listen(worker, 'error', failed)
      knock()
      return {
        stop() {
          cancel()
          unhear()
          unfail()
          send('stop')
        },
      }
    },
  }
}

/** Options of `renewInWorker`. */
export interface RenewInWorkerOptions {
  /**
   * The storage of the group, made anew here: a worker shares no objects with its thread. `memory()` is another one here.
   * @when Always the same place as that of the thread.
   */
  readonly storage: Storage
  /**
   * Where the thread is heard.
   * @default self, as a worker of a browser has it
   * @when Give the `parentPort` of `node:worker_threads` on Node.
   */
  readonly port?: WorkerPort | undefined
  /**
   * Time, timers and random bytes.
   * @default systemClock
   * @when Only tests replace it.
   */
  readonly clock?: Clock | undefined
}

/**
 * Renews leases for the thread that has started this worker, and joined a group with `workerRenewer`. Call it once, in the script
 * of the worker; it goes on until the worker ends.
 *
 * @throws `INVALID_ARGUMENT` when there is no port
 * @example
 *     // lease-worker.js, on Node
 *     import { parentPort } from 'node:worker_threads'
 *     renewInWorker({ storage: nodeFs('./state'), port: parentPort })
 */
export function renewInWorker(options: RenewInWorkerOptions): void {
  const { storage, port = globalThis as unknown as WorkerPort } = options
  const clock = checkClock(options.clock)
  checkPort('port: a port to the thread', port)
  const leases = new Map<string, Life>()
  const say = (word: Word): void => port.postMessage(word as never)
  hear(port, (message) => {
    const knock = message as Knock
    const known = leases.get(knock.member)
    if (knock.tidemark === 'renew') {
      const life = known ?? new Life(knock, storage, clock, say)
      leases.set(knock.member, life)
      life.heard(knock)
    } else if (knock.tidemark === 'stop') {
      known?.end()
      leases.delete(knock.member)
    }
  })
  say({ tidemark: 'here' })
}

/** The lease of one member, as long as its thread is heard. */
class Life {
  readonly #start: () => Renewal
  readonly #clock: Clock
  #renewal: Renewal | undefined
  #isOver = false
  /** By how much the clock of the thread is ahead, at least. */
  #ahead = -Infinity
  #cancel = (): void => undefined

  constructor({ store, member, leaseMs }: Knock, storage: Storage, clock: Clock, say: (word: Word) => void) {
    this.#clock = clock
    const state = newState()
    const options = {
      storage,
      store,
      member,
      leaseMs,
      clock,
      proved: ({ monotonic, now }: Instant): void =>
        say({ tidemark: 'proved', member, sent: { monotonic: monotonic + this.#ahead, now } }),
      lost: (reason: Loss): void => {
        this.end()
        say({ tidemark: 'lost', member, reason })
      },
      failed: (cause: unknown): void => say({ tidemark: 'failed', member, message: reasonOf(cause) }),
    }
    // One that was stopped for a while goes on where it was.
    this.#start = () => new Renewal(options, state).start()
  }

  heard({ monotonic, leaseMs }: Knock): void {
    if (this.#isOver) return
    this.#ahead = Math.max(this.#ahead, monotonic - this.#clock.monotonic())
    this.#cancel()
    this.#cancel = this.#clock.timer(LEASES * leaseMs, () => this.#pause(), { background: true })
    this.#renewal ??= this.#start()
  }

  end(): void {
    this.#isOver = true
    this.#cancel()
    this.#pause()
  }

  #pause(): void {
    this.#renewal?.stop()
    this.#renewal = undefined
  }
}

function checkPort(what: string, port: unknown): void {
  if (typeof (Object(port) as Partial<WorkerPort>).postMessage === 'function') return
  throw invalid(`${what} is expected, with postMessage().`)
}

/** Hears the messages of Tidemark; a worker may have others. */
function hear(port: WorkerPort, heard: (message: { readonly tidemark: unknown }) => void): () => void {
  return listen(port, 'message', (message) => {
    if (typeof message === 'object' && message !== null && Object.hasOwn(message, 'tidemark'))
      heard(message as { readonly tidemark: unknown })
  })
}

type Listener = (given: unknown) => void
type Listening = (type: string, listener: Listener) => unknown

/** Node says what is sent; browsers say an event that has it. */
function listen(port: WorkerPort, type: 'message' | 'error', heard: Listener): () => void {
  const { on, off, addEventListener, removeEventListener, start } = port as {
    readonly on?: Listening
    readonly off?: Listening
    readonly addEventListener?: Listening
    readonly removeEventListener?: Listening
    readonly start?: () => void
  }
  if (on) {
    on.call(port, type, heard)
    return () => void off?.call(port, type, heard)
  }
  const listener = (event: unknown): void => {
    const { data, error, message } = event as { data?: unknown; error?: unknown; message?: unknown }
    heard(type === 'message' ? data : (error ?? new Error(String(message))))
  }
  addEventListener?.call(port, type, listener)
  if (type === 'message') start?.call(port)
  return () => void removeEventListener?.call(port, type, listener)
}
