/** Times and sizes of a log; `nodeFs` does not take them, tests reach them with little. */
export interface LogTuning {
  /** How long to wait for the file of an owner that has only a marker yet. */
  readonly patienceMs: number
  /** The room that a new file begins with, and the first step by which it grows. */
  readonly roomBytes: number
  /** Room that is kept for entries by which space comes free. */
  readonly reserveBytes: number
  /** From which size on an owner goes on to its next file, if that leaves half of this one behind. */
  readonly rotateBytes: number
}

export const LOG_TUNING: LogTuning = {
  patienceMs: 500,
  roomBytes: 64 << 10,
  reserveBytes: 4 << 10,
  rotateBytes: 8 << 20,
}
