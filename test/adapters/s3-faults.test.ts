/**
 * Stores on an S3 that fails in every way that one can, again and again: nothing acknowledged is lost, what is there is one
 * version whole, every error is typed, and none tells a secret.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isTidemarkError, retrying, type Storage, type Store } from 'tidemark'
import { WAYS } from 'tidemark/testing'
import { probe } from '../../src/storage/probe.js'
import { eachAdapter } from '../support/counting.js'
import { extent } from '../support/extent.js'
import { memory } from 'tidemark/memory'
import { advance, hastyClock, open, persist, reached, verifyHistory, type Acknowledged } from '../support/history.js'
import { byFetch, placeAt, s3Adapters, SECRET } from '../support/s3-clients.js'
import { startS3Server, type S3Fault, type S3Seen, type S3Server } from '../support/s3-server.js'
import { cutLife } from '../support/suite-cuts.js'

const LAST = extent(10, 6)

interface Plan {
  readonly fault: S3Fault
  /** Which requests it is for. Default: all. */
  readonly on?: (seen: S3Seen) => boolean
  /** How many of them go well between two that do not. Default: 3. */
  readonly spared?: number
}

const creates = ({ headers }: S3Seen): boolean => headers['if-none-match'] !== undefined
const swaps = ({ headers }: S3Seen): boolean => headers['if-match'] !== undefined
const writes = ({ method }: S3Seen): boolean => method === 'PUT'
const reads = ({ method, query }: S3Seen): boolean => method === 'GET' && !query.has('list-type')
const lists = ({ query }: S3Seen): boolean => query.has('list-type')
const conditional = (seen: S3Seen): boolean => seen.conditional

const PLANS: [string, Plan][] = [
  ['409, and it has not happened', { fault: { status: 409, code: 'ConditionalRequestConflict' }, on: conditional }],
  ['409, and it has happened', { fault: { status: 409, code: 'OperationAborted', applied: true }, on: conditional }],
  ['404 on a swap', { fault: { status: 404, code: 'NoSuchKey' }, on: swaps, spared: 1 }],
  [
    '404 on a swap that has happened',
    { fault: { status: 404, code: 'NoSuchKey', applied: true }, on: swaps, spared: 1 },
  ],
  [
    '412 for what has happened, as a client that repeats is told',
    { fault: { status: 412, code: 'PreconditionFailed', applied: true }, on: creates },
  ],
  ['500 before', { fault: { status: 500, code: 'InternalError' } }],
  ['500 after', { fault: { status: 500, code: 'InternalError', applied: true } }],
  ['503 SlowDown', { fault: { status: 503, code: 'SlowDown' } }],
  ['502 of a proxy, after', { fault: { status: 502, applied: true }, on: writes }],
  ['replies that are lost', { fault: 'reply-lost' }],
  ['connections that end before', { fault: 'hang-up' }],
  ['bodies that are cut', { fault: 'cut-body', on: reads }],
  ['bodies that are shorter than stored', { fault: 'short-body', on: reads }],
  ['bodies that are damaged on their way', { fault: 'damaged-body', on: reads }],
  ['bodies that come slowly', { fault: { slow: 80 }, on: reads }],
  ['404 from a cache', { fault: 'cached-404', on: reads, spared: 8 }],
  ['lists that are stale', { fault: { staleList: 2 }, on: lists, spared: 0 }],
  ['creates that land late', { fault: { late: 40 }, on: creates }],
  ['swaps that land late', { fault: { late: 40 }, on: swaps, spared: 1 }],
]

/** The SDK pauses by itself after a 503, at random and in real time, which the clock of these tests does not shorten. */
const PATIENT = { timeoutMs: 300_000 }

let server!: S3Server
let runs = 0
beforeAll(async () => {
  server = await startS3Server()
})
afterAll(() => server.close())

/** Passes on what is typed and tells no secret; anything else fails the test. */
async function typed<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!isTidemarkError(error)) throw error
    for (let e: unknown = error; e instanceof Error; e = e.cause) {
      expect(`${e.message} ${e.stack} ${JSON.stringify(e)}`).not.toMatch(new RegExp(`${SECRET}|Signature=|AWS4-HMAC`))
    }
    throw error
  }
}

/** Commits, folds, is opened anew in the middle, and goes on, whatever happens. */
async function life(storage: Storage, acknowledged: Acknowledged[]): Promise<void> {
  for (const upTo of [LAST / 2, LAST]) {
    const store: Store = await persist(() => typed(() => open(storage, PATIENT)))
    // Each round stands for a program that was restarted after too many failures.
    for (let round = 0; round < 8 && reached(store) < upTo; round++) {
      await persist(() => typed(() => advance(store, upTo, acknowledged)))
      await persist(() => typed(() => store.checkpoint())).catch(() => undefined)
    }
    expect(reached(store)).toBe(upTo)
    await store.close()
  }
}

async function runLife(adapter: Storage, decide: S3Server['decide']): Promise<void> {
  // An opening reads some twenty objects: without repetition one failure in four would end each of them.
  const storage = retrying(adapter, { clock: hastyClock })
  // This test is not about the probe's answer to such a server, so the probe is passed in advance.
  await probe(memory(), 'history/0', hastyClock, storage)
  const acknowledged: Acknowledged[] = []
  server.decide = decide
  try {
    await life(storage, acknowledged)
  } finally {
    server.decide = undefined
    await server.settled()
  }
  expect(acknowledged.length).toBeGreaterThan(0)
  await verifyHistory(storage, acknowledged, LAST)
}

eachAdapter(s3Adapters, '%s', (make) => {
  test.each(PLANS)('%s', async (_name, { fault, on = () => true, spared = 3 }) => {
    let seen = 0
    let faults = 0
    await runLife(make(placeAt(server.url), `run-${runs++}`), (request) => {
      if (!on(request) || seen++ % (spared + 1) !== spared) return undefined
      faults++
      return fault
    })
    expect(faults).toBeGreaterThan(0)
  })

  test('storms of 503 that pass', async () => {
    let requests = 0
    await runLife(make(placeAt(server.url), `run-${runs++}`), () => {
      const at = requests++ % 60
      return at >= 50 ? { status: 503, code: 'SlowDown' } : undefined
    })
  })

  test('a rival that takes over while a create lands late is not overwritten, and neither is it', async () => {
    const storage = make(placeAt(server.url), `run-${runs++}`)
    const acknowledged: Acknowledged[] = []
    const store = await open(storage, PATIENT)
    await advance(store, 3, acknowledged)
    // The next create is answered by nothing, and lands when another has opened the store.
    let once = true
    server.decide = (request) => {
      if (!once || !creates(request)) return undefined
      once = false
      return { late: 60 }
    }
    const late = typed(() => advance(store, 4, acknowledged)).catch((error: unknown) => error)
    const rival = await persist(() => typed(() => open(storage, PATIENT)))
    server.decide = undefined
    await server.settled()
    await late
    const from = reached(rival)
    await advance(rival, from + 2, acknowledged)
    await store.close()
    await rival.close()
    const known = acknowledged.filter(({ commit }, i) => acknowledged.findIndex((a) => a.commit === commit) === i)
    expect(known.length).toBe(acknowledged.length)
  })
})

test(
  'a store by s3Fetch(), cut at its storage calls, loses nothing acknowledged',
  { meta: { adapter: 's3Fetch' } },
  () =>
    cutLife(() => byFetch(placeAt(server.url), `run-${runs++}`), WAYS, { writes: extent(2, 12), reads: extent(8, 48) }),
)
