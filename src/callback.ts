/** How functions of the program are called, which may throw, or return a promise that nobody waits for and that rejects. */
import { isPromise } from './bytes/kinds.js'
import { invalid } from './errors.js'

/**
 * Calls one that is only told, after the work at hand: whatever it does hurts nobody. `failed` hears what it threw or
 * rejected with.
 */
export function tell(call: () => unknown, failed: (cause: unknown) => void = () => undefined): void {
  Promise.resolve().then(call).catch(failed)
}

/** Refuses the promise of one that has to answer at once, and hears it, as nobody else will. */
export function refusePromise(what: string, answer: unknown): void {
  if (!isPromise(answer)) return
  Promise.resolve(answer).catch(() => undefined)
  throw invalid(`${what} returned a promise; it has to answer at once.`)
}
