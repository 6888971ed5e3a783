/** How the fate of an append is settled, answer by answer. */
import { expect, test } from 'vitest'
import type { Clock } from 'tidemark'
import { HASH_BYTES } from '../../../src/bytes/hash.js'
import { TidemarkError } from '../../../src/errors.js'
import { landed, resolveAppend, type Resolution } from '../../../src/log/append.js'
import { encodeEntry } from '../../../src/log/encode.js'
import { emptyCarried, type Entry } from '../../../src/log/entry.js'
import type { Answer, Log, Outcome } from '../../../src/storage/contract.js'
import { LOG_ID } from '../../support/parts.js'
import { PatientClock } from '../../support/patient-clock.js'

const ENTRY: Entry = {
  n: 7,
  kind: 'commit',
  logId: LOG_ID,
  writerId: new Uint8Array(16).fill(2),
  write: 5,
  parent: new Uint8Array(HASH_BYTES),
  mode: 'exclusive',
  carried: { ...emptyCarried('exclusive'), manifestAt: 1, version: 7 },
  label: undefined,
  meta: undefined,
  delta: undefined,
  references: undefined,
  manifest: undefined,
  origin: undefined,
  collection: undefined,
  seal: undefined,
}
const OWN = encodeEntry(ENTRY)
const OTHERS = encodeEntry({ ...ENTRY, writerId: new Uint8Array(16).fill(3) })

type Sent = (Outcome & Answer) | Error
/** In the place of an answer: it cannot be read now. */
type Found = Uint8Array | undefined | Error

const COMMITTED: Sent = { outcome: 'committed', time: 9 }
const LOST: Sent = { outcome: 'lost' }
const UNKNOWN: Sent = { outcome: 'unknown', settle: true, cause: 'a time-out' }
const DOWN = new TidemarkError('STORAGE_UNAVAILABLE', 'down', { retryable: true })

/** Gives these answers, one after another and the last one for ever, to sends and to looks at what took the number. */
async function resolve(
  sends: readonly Sent[],
  finds: readonly Found[] = [],
  options: { readonly isLostSure?: boolean; readonly timeoutMs?: number; readonly clock?: Clock } = {},
): Promise<{ resolution: Resolution; sent: number; read: number }> {
  const [sent, read] = [answers(sends), answers(finds)]
  const log = {
    read: async (n: number) => {
      expect(n).toBe(ENTRY.n)
      return { bytes: read.next() }
    },
  } as unknown as Log
  const context = { log, clock: new PatientClock(), timeoutMs: 60_000, ...options }
  const resolution = await resolveAppend(context, ENTRY, async () => sent.next())
  return { resolution, sent: sent.count, read: read.count }
}

function answers<T>(all: readonly (T | Error)[]): { next(): T; count: number } {
  return {
    count: 0,
    next() {
      const answer = all[Math.min(this.count++, all.length - 1)]
      if (answer instanceof Error) throw answer
      return answer as T
    },
  }
}

test('committed is committed, with the time of the answer, and nothing is read', async () => {
  expect(await resolve([COMMITTED])).toEqual({ resolution: { outcome: 'committed', time: 9 }, sent: 1, read: 0 })
})

test('what cannot be sent surely did not happen: the error is passed on at once', async () => {
  await expect(resolve([DOWN])).rejects.toBe(DOWN)
})

test('R14: after an unknown answer an error proves nothing any more', async () => {
  const { resolution, sent } = await resolve([UNKNOWN, DOWN, DOWN, COMMITTED])
  expect([resolution.outcome, sent]).toEqual(['committed', 4])
  expect((await resolve([UNKNOWN, DOWN], [], { timeoutMs: 1_000 })).resolution).toEqual({
    outcome: 'unknown',
    cause: DOWN,
  })
})

test('lost to another write id is lost, and to its own is committed', async () => {
  expect((await resolve([LOST], [OTHERS])).resolution).toEqual({ outcome: 'lost' })
  expect((await resolve([LOST], [OWN])).resolution).toEqual({ outcome: 'committed', time: undefined })
})

test('the write id decides, not the content', async () => {
  const again = encodeEntry({ ...ENTRY, write: ENTRY.write + 1 })
  expect((await resolve([LOST], [again])).resolution).toEqual({ outcome: 'lost' })
  const changed = encodeEntry({ ...ENTRY, label: 'sent twice, built once' })
  expect((await resolve([LOST], [changed])).resolution.outcome).toBe('committed')
})

test('an unknown answer is settled by sending the same again', async () => {
  expect(await resolve([UNKNOWN, UNKNOWN, LOST], [OWN])).toMatchObject({
    resolution: { outcome: 'committed' },
    sent: 3,
  })
  expect(await resolve([UNKNOWN, LOST], [OTHERS])).toMatchObject({ resolution: { outcome: 'lost' }, sent: 2 })
})

test('where only a new handle can settle it, it is not sent again', async () => {
  const answer: Sent = { outcome: 'unknown', settle: false, cause: 'a sync that failed' }
  const { resolution, sent } = await resolve([answer])
  expect([resolution, sent]).toEqual([{ outcome: 'unknown', cause: 'a sync that failed' }, 1])
})

test('lost, and nothing is there: it was trimmed, and may have been this very entry', async () => {
  expect((await resolve([LOST], [undefined])).resolution.outcome).toBe('unknown')
})

test('where the create looks at the trim number, that is lost, unless it was sent before', async () => {
  expect((await resolve([LOST], [undefined], { isLostSure: true })).resolution).toEqual({ outcome: 'lost' })
  const sentBefore = await resolve([UNKNOWN, LOST], [undefined], { isLostSure: true })
  expect(sentBefore.resolution).toEqual({ outcome: 'unknown', cause: 'a time-out' })
})

test('lost, and what took the number cannot be read now: both are asked again', async () => {
  expect(await resolve([LOST], [DOWN, DOWN, OTHERS])).toEqual({ resolution: { outcome: 'lost' }, sent: 3, read: 3 })
})

test('what took the number and is damaged leaves it unknown', async () => {
  const damaged = OTHERS.slice()
  damaged[20]! ^= 1
  const { resolution } = await resolve([LOST], [damaged])
  expect(resolution).toMatchObject({ outcome: 'unknown', cause: { code: 'CORRUPT' } })
})

test('pauses double up to a bound, and end before the time is over', async () => {
  const clock = new PatientClock()
  const { resolution, sent } = await resolve([UNKNOWN], [], { timeoutMs: 10_000, clock })
  expect(resolution).toEqual({ outcome: 'unknown', cause: 'a time-out' })
  expect(clock.pauses).toEqual([50, 100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000])
  expect(sent).toBe(clock.pauses.length + 1)
})

test('landed: the answer, nothing for lost, and an error that may be repeated for unknown', () => {
  expect(landed({ outcome: 'committed', time: 3 }, 'it')).toEqual({ outcome: 'committed', time: 3 })
  expect(landed({ outcome: 'lost' }, 'it')).toBeUndefined()
  expect(() => landed({ outcome: 'unknown', cause: DOWN }, 'it was.')).toThrow(
    expect.objectContaining({ code: 'UNKNOWN_OUTCOME', retryable: true, cause: DOWN }),
  )
})
