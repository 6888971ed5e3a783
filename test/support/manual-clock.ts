import { systemClock, type Clock } from 'tidemark'

/** A clock that stands still until it is moved on: what is due by then fires, in its order. */
export class ManualClock implements Clock {
  #time: number
  #timers: { readonly at: number; readonly run: () => void }[] = []

  constructor(time = 1_000_000) {
    this.#time = time
  }

  now(): number {
    return this.#time
  }

  monotonic(): number {
    return this.#time
  }

  random(length: number): Uint8Array {
    return systemClock.random(length)
  }

  timer(ms: number, run: () => void): () => void {
    const timer = { at: this.#time + ms, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  pause(): Promise<void> {
    return systemClock.pause()
  }

  pass(ms: number): void {
    this.#time += ms
    for (;;) {
      const [first] = this.#timers.filter(({ at }) => at <= this.#time).sort((a, b) => a.at - b.at)
      if (first === undefined) return
      this.#timers = this.#timers.filter((timer) => timer !== first)
      first.run()
    }
  }
}
