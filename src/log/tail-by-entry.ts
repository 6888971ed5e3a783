/** Reads on in a log where each entry is a request of its own. */
import type { Answer, Log, TailRead } from '../storage/contract.js'

/** How many entries are read and listed at once: no more of them are held. */
const READ_AT_ONCE = 16
const LISTED_AT_ONCE = 1000

export type Entries = Answer & Pick<TailRead, 'entries'>

/**
 * The entries that are there from `from` on. Up to `known` they are known to be there, and what follows is listed. Without it
 * probably none is there: one is asked for, then two, and then the rest is listed.
 */
export async function* readByEntry(log: Log, from: number, known?: number): AsyncGenerator<Entries, void> {
  let next = from
  for (let ahead = known === undefined ? 1 : 3; ahead < 3; ahead++) {
    const read = await readEach(log, numbersFrom(next, ahead))
    yield read
    if (read.entries.length < ahead) return
    next += ahead
  }
  let numbers = numbersFrom(next, Math.min((known ?? 0) - next + 1, READ_AT_ONCE))
  for (;;) {
    const listing = log.list(next + numbers.length, { limit: LISTED_AT_ONCE })
    const [read, listed] = await Promise.all([readEach(log, numbers), listing])
    yield { ...read, time: listed.time }
    for (let i = 0; i < listed.numbers.length; i += READ_AT_ONCE) {
      yield readEach(log, listed.numbers.slice(i, i + READ_AT_ONCE))
    }
    if (listed.numbers.length < LISTED_AT_ONCE) return
    next = listed.numbers.at(-1)! + 1
    numbers = []
  }
}

function numbersFrom(first: number, length: number): number[] {
  return Array.from({ length: Math.max(0, length) }, (_, i) => first + i)
}

async function readEach(log: Log, numbers: readonly number[]): Promise<Entries> {
  const answers = await Promise.all(numbers.map((n) => log.read(n)))
  const entries = answers.flatMap(({ bytes }, i) => (bytes ? { n: numbers[i]!, bytes } : []))
  return { time: answers.at(-1)?.time, entries }
}
