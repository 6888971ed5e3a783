/** How long ago something was, by two clocks: one may stand still while the machine sleeps, the other may jump. */
import type { Clock } from '../clock.js'

/** Both clocks at one moment. */
export interface Instant {
  readonly monotonic: number
  readonly now: number
}

export function instant(clock: Clock): Instant {
  return { monotonic: clock.monotonic(), now: clock.now() }
}

/** The larger advance of both clocks: who was away for long never takes it for less. */
export function since(clock: Clock, then: Instant): number {
  return Math.max(clock.monotonic() - then.monotonic, clock.now() - then.now)
}
