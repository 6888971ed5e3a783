import { sleep, type Clock } from '../../../src/clock.js'

/** Looks again and again until there is an answer or the time is over, with pauses that grow. */
export async function patiently<T>(
  clock: Clock,
  ms: number,
  look: () => Promise<T | undefined>,
): Promise<T | undefined> {
  const end = clock.monotonic() + ms
  for (let pause = 1; ; pause = Math.min(2 * pause, 20)) {
    const found = await look()
    if (found !== undefined || clock.monotonic() >= end) return found
    await sleep(clock, pause)
  }
}
