/** How functions of the program are called, which may throw, or return a promise that nobody waits for and that rejects. */
import { invalid } from './errors.js'

/**
 * Calls one that is only told, after the work at hand: whatever it does hurts nobody. `failed` hears what it threw or
 * rejected with.
 */
export function tell(call: () => unknown, failed: (cause: unknown) => void = () => undefined): void {
  Promise.resolve().then(call).catch(failed)
}

/** Whatever can be waited for: programs put promises of their own in place of the platform's. */
export function isPromise<T>(value: T | PromiseLike<unknown>): value is Extract<T, PromiseLike<unknown>> {
  return typeof (value as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function'
}

/** Refuses the promise of one that has to answer at once, and hears it, as nobody else will. */
export function refusePromise(what: string, answer: unknown): void {
  if (!isPromise(answer)) return
  Promise.resolve(answer).catch(() => undefined)
  throw invalid(`${what} returned a promise; it has to answer at once.`)
}
