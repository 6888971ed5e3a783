/** Waits of tests for work that goes on beside them. */
import { systemClock } from 'tidemark'
import { sleep } from '../../src/clock.js'

/** Long enough for all work that waits for nothing but its turn. */
export const settle = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await systemClock.pause()
}

/** For work that waits for a storage; a minute at most, unless told otherwise. */
export const until = async (isDone: () => boolean, withinMs = 60_000): Promise<void> => {
  const end = performance.now() + withinMs
  while (!isDone() && performance.now() < end) await sleep(systemClock, 1)
  await settle()
}
