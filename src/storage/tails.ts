/** How long a tail of the log may grow before it is folded, by what it costs an opener to read it. */

/** Each entry is a request of its own. */
export const SHORT_TAIL = { entries: 48, bytes: 6 << 20 } as const
/** All entries are read in a few calls. To write a large commit down is quick, so it is sorted and packed later. */
export const LONG_TAIL = { entries: 1024, bytes: 4 << 20, large: 16 << 20 } as const

/** How much of a log is read at once, in bytes. */
export const TAIL_BYTES = 1 << 20
