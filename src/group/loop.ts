/** What a member does again and again beside its handlers. It never throws: whoever began it is told what failed. */
import { sleep, type Clock } from '../clock.js'

export interface LoopOptions {
  readonly clock: Clock
  /** A request, or another call, failed. It is repeated. */
  readonly failed: (cause: unknown) => void
}

export abstract class Loop<O extends LoopOptions> {
  protected readonly options: O
  readonly #stop = new AbortController()

  constructor(options: O) {
    this.options = options
  }

  /** Aborts when it is stopped. */
  protected get signal(): AbortSignal {
    return this.#stop.signal
  }

  start(): this {
    void this.#run()
    return this
  }

  stop(): void {
    this.#stop.abort()
  }

  async #run(): Promise<void> {
    while (!this.signal.aborted) await sleep(this.options.clock, await this.turn(), this.signal)
  }

  /** Does it once, and answers how long it is until the next time. */
  protected abstract turn(): Promise<number>

  protected fail(cause: unknown): void {
    if (!this.signal.aborted) this.options.failed(cause)
  }
}
