/** Times and sizes of a log. Tests make them small, so that little data reaches them; `nodeFs` does not take them. */
export interface LogTuning {
  /** How long to wait for the file of an owner that has only a marker yet, in milliseconds. */
  readonly patienceMs: number
  /** The free space with which a new file begins, and the first step by which it grows. */
  readonly preallocateBytes: number
  /** The size of a record from which on it makes its own room: zeros before it would be as many bytes again. */
  readonly largeBytes: number
  /** The room that is kept for entries by which space comes free. */
  readonly reserveBytes: number
  /** The size from which on an owner goes on to its next file, if three quarters of this one stay behind. */
  readonly rotateBytes: number
}

export const LOG_TUNING: LogTuning = {
  patienceMs: 500,
  preallocateBytes: 64 << 10,
  largeBytes: 32 << 10,
  reserveBytes: 4 << 10,
  rotateBytes: 8 << 20,
}
