/** Reads on in a log, in as few requests as its storage can. */
import { Part } from '../part.js'
import type { Answer, Log, TailRead } from '../storage/contract.js'
import type { Entries } from './tail-by-entry.js'

const byEntry = new Part(() => import('./tail-by-entry.js'))

/** The entries that are there from `from` on, ascending. Those up to `known` are known to be there. */
export async function* tailOf(log: Log, from: number, known?: number): AsyncGenerator<Entries, void> {
  if (!log.readTail) return yield* (await byEntry.load()).readByEntry(log, from, known)
  let reading: Promise<Answer & TailRead> | undefined = log.readTail(from)
  while (reading) {
    const read: Answer & TailRead = await reading
    // The next ones are read while these are applied.
    reading = read.more ? log.readTail(read.entries.at(-1)!.n + 1) : undefined
    reading?.catch(() => undefined)
    yield read
  }
}
