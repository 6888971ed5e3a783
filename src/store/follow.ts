import type { Clock } from '../clock.js'

/** Calls `look` every `everyMs`, one call at a time, until the function that it returns is called. */
export function follow(
  clock: Clock,
  everyMs: number,
  look: () => Promise<void>,
  failed: (cause: unknown) => void,
): () => void {
  let stopped = false
  let cancel = (): void => undefined
  const turn = async (): Promise<void> => {
    try {
      await look()
    } catch (cause) {
      if (!stopped) failed(cause)
    }
    if (!stopped) next()
  }
  const next = (): void => {
    cancel = clock.timer(everyMs, () => void turn(), { background: true })
  }
  next()
  return () => {
    stopped = true
    cancel()
  }
}
