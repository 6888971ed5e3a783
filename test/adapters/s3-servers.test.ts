/** The whole life of a store, collection included, on servers of every kind: other dialects, other ETags, other clocks. */
import { expect, test } from 'vitest'
import { systemClock, type Clock } from 'tidemark'
import { verify } from 'tidemark/tools'
import { eachAdapter } from '../support/counting.js'
import { extent } from '../support/extent.js'
import { advance, contents, open, reached, stateAfter, type Acknowledged } from '../support/history.js'
import { placeAt, s3Adapters } from '../support/s3-clients.js'
import { startS3Server, type S3ServerOptions } from '../support/s3-server.js'

/** So many commits are there when another one takes the store over. */
const BEGUN = extent(20, 8)
const HOUR = 3_600_000
const GRACE = 60_000

const KINDS: [string, S3ServerOptions, backMs?: number][] = [
  ['the rules of AWS', {}],
  ['the dialect of Ceph', { dialect: 'ceph' }],
  ['a clock an hour ahead', { skewMs: HOUR }],
  ['a clock an hour behind', { skewMs: -HOUR }],
  ['a clock that is not to be seen', { skewMs: undefined }],
  ['a clock that is set back by an hour', {}, HOUR],
  ['weak ETags', { etags: 'weak' }],
  ['ETags that are no hashes', { etags: 'number' }],
  ['no deletion of many', { deleteMany: false }],
]

eachAdapter(s3Adapters, '%s', (make, adapter) => {
  // The kinds that differ behind the transport are for one transport only.
  const kinds = adapter === 's3Fetch' ? KINDS : KINDS.slice(0, 2)
  test.each([...kinds])('%s', async (_kind, options, backMs = 0) => {
    const server = await startS3Server(options)
    const storage = make(placeAt(server.url), 'x')
    const acknowledged: Acknowledged[] = []
    const former = await open(storage)
    await advance(former, BEGUN, acknowledged)
    // Grace periods pass at once, here and on the server.
    let ahead = 0
    const clock: Clock = {
      ...systemClock,
      now: () => systemClock.now() + ahead,
      monotonic: () => systemClock.monotonic() + ahead,
    }
    const pass = (ms: number): void => {
      ahead += ms
      if (server.skewMs !== undefined) server.skewMs += ms
    }
    const keepThree = { retain: { versions: 3 }, graceMs: GRACE, clock }
    const store = await open(make(placeAt(server.url), 'x'), keepThree)
    expect(reached(store)).toBe(BEGUN)
    former.put('late', 1)
    await expect(former.commit()).rejects.toMatchObject({ code: 'FENCED' })
    await former.close()
    if (server.skewMs !== undefined) server.skewMs -= backMs
    await advance(store, BEGUN + 4, acknowledged)
    for (let i = BEGUN + 5; i < BEGUN + 11 && store.metrics().collected === 0; i++) {
      await store.maintain({ minDeletes: 1 })
      pass(GRACE)
      await advance(store, i, acknowledged)
    }
    // Where the clock was set back, it stands still for the store until it has caught up: nothing is deleted too early.
    if (backMs > 0) expect(store.metrics().collected).toBe(0)
    else expect(store.metrics().collected).toBeGreaterThan(0)
    const last = reached(store)
    await store.close()
    expect(acknowledged.length).toBe(last)
    const again = await open(storage, { expectAtLeast: acknowledged.at(-1)!.version })
    expect(await contents(again)).toEqual(stateAfter(last))
    await again.close()
    expect((await verify({ storage, name: 'history' })).damages).toEqual([])
    await server.close()
  })
})
