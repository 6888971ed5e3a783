/**
 * What the protocol of a log rests on, each with a switch that leaves it out: the simulation of the tests has to find the
 * damage then. Never set by anything else; `nodeFs` does not take it. Times and sizes are here too, so that tests reach
 * them with little.
 */
export interface LogRules {
  /** Ownership is checked after a record is durable, not before it is written. */
  readonly checkAfterWrite: boolean
  /** A new owner writes the tail into its own file, instead of leaving it in that of the owner before it. */
  readonly rewriteTail: boolean
  /** A file of an owner is a new one, instead of one that former owners may still write to. */
  readonly freshFiles: boolean
  /** A file gets its name when the tail and the fence in it are durable, instead of before that. */
  readonly syncBeforeName: boolean
  /** How long to wait for the file of an owner that has only a marker yet. */
  readonly patienceMs: number
  /** The room that a new file begins with, and the first step by which it grows. */
  readonly roomBytes: number
  /** Room that is kept for entries by which space comes free. */
  readonly reserveBytes: number
  /** From which size on an owner goes on to its next file, if that leaves half of this one behind. */
  readonly rotateBytes: number
}

export const LOG_RULES: LogRules = {
  checkAfterWrite: true,
  rewriteTail: true,
  freshFiles: true,
  syncBeforeName: true,
  patienceMs: 500,
  roomBytes: 64 << 10,
  reserveBytes: 4 << 10,
  rotateBytes: 8 << 20,
}
