import { invalid } from './errors.js'
import { Part } from './part.js'

/**
 * Time, randomness and timers for everything in src. Only this file touches the platform's; all other code is handed a
 * `Clock`, so that a test with a seeded one replays a failure. (Hash and compression are in `src/storage/platform.ts`.)
 */
export interface Clock {
  /** Milliseconds since 1970. They may step in either direction. */
  now(): number
  /** Milliseconds from an arbitrary start, for durations. They never step back. */
  monotonic(): number
  /** Gives `length` unpredictable bytes, for ids. */
  random(length: number): Uint8Array
  /**
   * Calls `run` once after `ms`, and returns a function that cancels it. A `background` timer keeps no process alive.
   */
  timer(ms: number, run: () => void, options?: { background?: boolean }): () => void
  /** Lets other tasks of the program run, and resolves in a later turn of the event loop. */
  pause(): Promise<void>
}

/**
 * The platform's functions as they were when Tidemark was imported: test runners later put others in their place, which
 * never fire. Only references are taken here, as workerd forbids calls at this point. Any of them may be missing.
 */
const { setTimeout, clearTimeout, setImmediate, MessageChannel, performance, crypto } = globalThis
const { TextEncoder, TextDecoder } = globalThis

/** Only long work makes pauses: folds, checks, transfers. */
const pausing = new Part(() => import('./pause.js'))

/** These have no substitute. */
const NEEDED: Readonly<Record<string, unknown>> = {
  setTimeout,
  performance,
  'crypto.getRandomValues': crypto && 'getRandomValues' in crypto,
  TextEncoder,
  TextDecoder,
  'String.prototype.isWellFormed': 'isWellFormed' in String.prototype,
}

/** The platform's clock, and the default everywhere. It looks the time of day up each time, so that tests may set it. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: (length) => crypto.getRandomValues(new Uint8Array(length)),
  timer(ms, run, options) {
    const id: unknown = setTimeout(run, ms)
    if (options?.background && typeof id === 'object') (id as { unref?: () => void }).unref?.()
    return () => clearTimeout(id as Parameters<typeof clearTimeout>[0])
  },
  pause: () => pausing.use((part) => part.pause({ setTimeout, setImmediate, MessageChannel })),
}

/** Checks the clock of an option; the platform's when it is left out. */
export function checkClock(clock: Clock | undefined): Clock {
  if (clock === undefined) {
    const missing = Object.keys(NEEDED).filter((name) => !NEEDED[name])
    missing.push(...['AbortController', 'btoa'].filter((name) => !(name in globalThis)))
    if (missing.length > 0)
      throw invalid(`There is no ${missing.join(', no ')} here; import a polyfill before Tidemark.`)
    return systemClock
  }
  const calls = Object.keys(systemClock) as (keyof Clock)[]
  if (typeof clock !== 'object' || clock === null || calls.some((call) => typeof clock[call] !== 'function')) {
    throw invalid(`clock: an object with ${calls.join(', ')} is expected.`)
  }
  return clock
}

/** Resolves with `promise`, or with nothing after `ms`. It leaves no timer behind. */
export function within<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T | undefined> {
  let cancel = (): void => undefined
  const late = new Promise<undefined>((resolve) => (cancel = clock.timer(ms, () => resolve(undefined))))
  return Promise.race([promise, late]).finally(cancel)
}

/** Resolves after `ms`, or at once when `signal` aborts. It never rejects; callers look at the signal. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve()
      return
    }
    const done = (): void => {
      cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.timer(ms, done)
    signal?.addEventListener('abort', done, { once: true })
  })
}
