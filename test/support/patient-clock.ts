import { systemClock, type Clock } from 'tidemark'

/** A clock that moves only when somebody waits: each timer fires at once, and moves it on by what it was set to. */
export class PatientClock implements Clock {
  /** The pauses that were asked for, one after another. */
  readonly pauses: number[] = []
  time: number

  constructor(time = 1_000) {
    this.time = time
  }

  now(): number {
    return this.time
  }

  monotonic(): number {
    return this.time
  }

  random(length: number): Uint8Array {
    return new Uint8Array(length).fill(7)
  }

  timer(ms: number, run: () => void): () => void {
    this.pauses.push(ms)
    let isOver = false
    void systemClock.pause().then(() => {
      if (isOver) return
      this.time += ms
      run()
    })
    return () => {
      isOver = true
    }
  }

  pause(): Promise<void> {
    return systemClock.pause()
  }
}
