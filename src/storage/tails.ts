/** How long a tail of the log may grow before it is folded, by what it costs an opener to read it. */

/** Each entry is a request of its own. */
export const SHORT_TAIL = { entries: 16, bytes: 1 << 20 } as const
/** All entries are read in a few calls. */
export const LONG_TAIL = { entries: 4096, bytes: 4 << 20 } as const

/** How much of a log is read at once, in bytes. */
export const TAIL_BYTES = 1 << 20
