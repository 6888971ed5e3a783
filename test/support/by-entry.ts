import type { Log } from 'tidemark'

/** The log, as where each entry is a request of its own. */
export function byEntry(log: Log): Log {
  const single = { ...log }
  delete single.readTail
  return single
}
