/** The options of `simulate`. */

/** Options of `simulate`. Times are milliseconds, virtual ones unless it says otherwise. */
export interface SimulateOptions {
  /**
   * Decides everything that is random.
   * @unit number
   * @when Change it for another run; keep it to see a failure again.
   */
  readonly seed: number
  /**
   * How long one way of a storage call takes, at least and at most.
   * @default [1, 20]
   * @unit milliseconds
   * @when Raise it to simulate a storage far away.
   */
  readonly delayMs?: readonly [number, number] | undefined
  /**
   * Makes some ways much longer: how probable that is, and how long they take at most.
   * @default { chance: 0.02, ms: 3000 }
   * @when Raise it to test deadlines and repetitions.
   */
  readonly slow?:
    | {
        /**
         * How probable it is for each way.
         * @unit probability, 0 to 1
         * @when Raise it for more of them.
         */
        readonly chance: number
        /**
         * How long such a way takes at most.
         * @unit milliseconds
         * @when Raise it above the deadlines that are to be tested.
         */
        readonly ms: number
      }
    | undefined
  /**
   * Holds actors up before a step: how probable that is, how long it takes at most, and whether their clock goes on.
   * @default none
   * @when Set it to test writers that are held up.
   */
  readonly stalls?:
    | {
        /**
         * How probable it is before each step.
         * @unit probability, 0 to 1
         * @when Raise it for more of them.
         */
        readonly chance: number
        /**
         * How long a stall takes at most.
         * @unit milliseconds
         * @when Raise it above `graceMs` to test the worst.
         */
        readonly ms: number
        /**
         * Whether the clock of the actor goes on meanwhile.
         * @default 'runs'
         * @when Set `stops` to simulate a laptop that sleeps.
         */
        readonly clock?: 'runs' | 'stops'
      }
    | undefined
  /**
   * The simulation fails after so many steps.
   * @default 100000
   * @unit steps
   * @when Raise it for a long scenario.
   */
  readonly maxSteps?: number | undefined
  /**
   * Virtual time at the start, since 1970.
   * @default 1700000000000
   * @unit milliseconds since 1970
   * @when Set it when the scenario depends on the date.
   */
  readonly startMs?: number | undefined
  /**
   * How long the storage beneath may take for one call, in real time.
   * @default 5000
   * @unit milliseconds
   * @when Raise it for a slow storage beneath.
   */
  readonly realMs?: number | undefined
}
