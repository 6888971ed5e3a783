/**
 * The steps that are to happen in virtual time, earlier ones first, and of two at one time the one that was added first.
 * A sorted array is enough: tens of steps of a simulation wait, not thousands.
 */
export interface Step<Owner> {
  at: number
  readonly owner: Owner
  readonly label: string
  /**
   * `owner`: the owner's program runs, so that a stall holds it up and a crash ends it. `world`: it happens outside, like a
   * request that is on its way.
   */
  readonly place: 'owner' | 'world'
  /** When a timer is due by the owner's own clock; only timers have it. */
  readonly due?: number | undefined
  cancelled: boolean
  run(): void
}

export class Schedule<Owner> {
  /** Latest first, so that the next step is taken from the end. */
  readonly #steps: Step<Owner>[] = []

  add(step: Step<Owner>): void {
    let low = 0
    let high = this.#steps.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#steps[middle]!.at > step.at) low = middle + 1
      else high = middle
    }
    this.#steps.splice(low, 0, step)
  }

  /** The next step that was not cancelled. */
  take(): Step<Owner> | undefined {
    for (;;) {
      const step = this.#steps.pop()
      if (step === undefined || !step.cancelled) return step
    }
  }

  of(owner: Owner): readonly Step<Owner>[] {
    return this.#steps.filter((step) => step.owner === owner && !step.cancelled)
  }
}
