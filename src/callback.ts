/** Calls functions of the program, which may throw, or return a promise that rejects while nobody waits for it. */
import { invalid } from './errors.js'

/**
 * Tells a function of the program something, after the work at hand, and without consequence. `failed` gets the error that
 * it throws or rejects with.
 */
export function tell(call: () => unknown, failed: (cause: unknown) => void = () => undefined): void {
  Promise.resolve().then(call).catch(failed)
}

/** Whether a value can be waited for. Programs put promises of their own in place of the platform's. */
export function isPromise<T>(value: T | PromiseLike<unknown>): value is Extract<T, PromiseLike<unknown>> {
  return typeof (value as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function'
}

/** Refuses the promise of a function that has to answer at once. It handles the rejection, as nobody else will. */
export function refusePromise(what: string, answer: unknown): void {
  if (!isPromise(answer)) return
  Promise.resolve(answer).catch(() => undefined)
  throw invalid(`${what} returned a promise; it has to answer at once.`)
}
