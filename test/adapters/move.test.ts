/**
 * State that moves: from the IndexedDB of a real Chromium to the S3 API of a local R2, from there to Node, and back; and a server's
 * store that a page follows. Bytes are counted where they pass: on the wire to the bucket.
 */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStore, type CommitResult, type Store } from 'tidemark'
import { verify } from 'tidemark/tools'
import type { PushResult } from 'tidemark/transfer'
import { browsers } from '../support/chromium.js'
import { startCorsProxy, type CorsProxy, type WireSeen } from '../support/cors-proxy.js'
import { forAdapter } from '../support/counting.js'
import { OPTIONS, commitRounds, contentsOf, toldOfRound, truthAfter } from '../support/moved-life.mjs'
import { bySdk, startMiniflare, type S3Place } from '../support/s3-clients.js'
import { temporaryFolder } from '../support/storages.js'

forAdapter('indexedDb')

const chromium = browsers()
let miniflare!: Awaited<ReturnType<typeof startMiniflare>>
let proxy!: CorsProxy
beforeAll(async () => {
  miniflare = await startMiniflare()
  proxy = await startCorsProxy(miniflare.place.endpoint, miniflare.place.bucket)
})
afterAll(async () => {
  await proxy.close()
  await miniflare.dispose()
})

interface Measured {
  readonly result?: PushResult
  readonly code?: string
  readonly here: { readonly written: number; readonly read: number }
  readonly there: { readonly written: number; readonly read: number }
}

/** Opens the page that test/support/mover.mjs is, and calls its functions. */
async function opened(page: Page): Promise<<T>(what: string) => Promise<T>> {
  await page.goto(`${chromium.pages}/browser-page.html`)
  const place: S3Place = { ...miniflare.place, endpoint: proxy.endpoint }
  await page.evaluate(`import('/test/support/mover.mjs').then(() => page.connect(${JSON.stringify(place)}))`)
  return (what) => page.evaluate(`page.${what}`)
}

/** What went over the wire meanwhile. */
async function overWire<T>(run: () => Promise<T>): Promise<{ answer: T; wire: readonly WireSeen[] }> {
  const before = proxy.seen.length
  const answer = await run()
  return { answer, wire: proxy.seen.slice(before) }
}

/** The objects of a folder that went over the wire in this way, each once. */
function objects(wire: readonly WireSeen[], method: string, folder: 'seg' | 'log'): string[] {
  const served = wire.filter((seen) => seen.method === method && seen.status < 300).map(({ key }) => key)
  // Objects with which a new store tries the bucket are none of the store's own.
  const ofStore = /^[^/?]+\/0\/[0-9a-f]{32}\/(seg|log)\/[0-9a-f]+$/
  return [...new Set(served)].filter((key) => ofStore.exec(key)?.[1] === folder)
}

const sum = (wire: readonly WireSeen[], way: 'sent' | 'answered'): number =>
  wire.reduce((total, seen) => total + seen[way], 0)
const written = (wire: readonly WireSeen[]): string[] =>
  wire.filter(({ method }) => method !== 'GET').map(({ method, key }) => `${method} ${key}`)
const numberOf = (entry: string): number => Number(entry.slice(entry.lastIndexOf('/') + 1))
/** The numbers of the entries that went over the wire in this way. */
const entriesOf = (wire: readonly WireSeen[], method: string): number[] =>
  objects(wire, method, 'log')
    .map(numberOf)
    .toSorted((a, b) => a - b)

async function onServer<T>(name: string, use: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore({ storage: bySdk(miniflare.place, ''), name, ...OPTIONS })
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

test('a store moves from the browser to S3, is changed by Node, and comes back; only what is missing travels', async () => {
  const running = await chromium.start(temporaryFolder())
  try {
    let call = await opened(running.page)
    const pushed = async (): Promise<{ result: PushResult; wire: readonly WireSeen[] }> => {
      const { answer, wire } = await overWire(() => call<Measured>('push()'))
      const result = answer.result!
      // All three who count have the same.
      expect([answer.there.written, sum(wire, 'sent')]).toEqual([result.bytes, result.bytes])
      return { result, wire }
    }
    const pulled = async (): Promise<{ result: PushResult; wire: readonly WireSeen[]; read: number }> => {
      const { answer, wire } = await overWire(() => call<Measured>('pull()'))
      expect(answer.here.written).toBe(answer.result!.bytes)
      // A pin holds the version meanwhile; nothing else is written at the bucket.
      expect(written(wire).filter((what) => !/^(PUT|DELETE) \S+\/pins\/|^POST \?delete/.test(what))).toEqual([])
      return { result: answer.result!, wire, read: answer.here.read }
    }
    const inPage = async (round: number): Promise<void> => {
      // Nothing is left of what the page had in memory.
      call = await opened(running.page)
      await call('open()')
      expect(await call('contents()')).toEqual({ offsets: { rounds: round + 1 }, entries: truthAfter(round) })
    }
    const inNode = async (round: number, store: Store): Promise<void> => {
      for await (const { label, meta } of store.versions({ reverse: true, limit: 1 }))
        expect({ label, meta }).toEqual({ label: `round ${round}`, meta: { round } })
      expect({ offsets: store.offsets, entries: await contentsOf(store) }).toEqual({
        offsets: { rounds: round + 1 },
        entries: truthAfter(round),
      })
    }

    // Written in the browser: some of it folded, some in the tail of the log.
    await call('open()')
    await call('write(0, 3)')
    await call('checkpoint()')
    await call('write(4, 5)')
    const first = await pushed()
    expect(first.result).toMatchObject({ reused: 0, copied: expect.any(Number) })
    expect(first.result.copied).toBeGreaterThan(10)
    // The tail becomes one segment more.
    const before = objects(first.wire, 'PUT', 'seg')
    expect(before).toHaveLength(first.result.copied + 1)
    expect(entriesOf(first.wire, 'PUT')).toEqual([first.result.version])
    const again = await pushed()
    expect(again.result).toMatchObject({ copied: 0, reused: 0, bytes: 0 })
    expect(written(again.wire)).toEqual([])

    // One more commit: what travels is the size of it, whatever the size of the store.
    const [six] = await call<CommitResult[]>('write(6, 6)')
    const small = await pushed()
    expect(small.result).toMatchObject({ copied: 0, reused: before.length })
    expect(small.result.bytes).toBeLessThan(1.2 * six!.bytes)
    const fold = objects(small.wire, 'PUT', 'seg')
    expect([fold.length, objects(small.wire, 'GET', 'seg')]).toEqual([1, fold])
    // A fence, and the version.
    expect(entriesOf(small.wire, 'PUT')).toEqual([small.result.version - 1, small.result.version])
    expect(entriesOf(small.wire, 'GET')).toEqual([first.result.version])

    await onServer('moved', async (store) => {
      await inNode(6, store)
      await commitRounds(store, 7, 9)
    })

    // Back in the browser, which writes the store no more: else it would be in the way.
    expect(await call<Measured>('pull()')).toMatchObject({ code: 'CONFLICT' })
    await call('close()')
    const back = await pulled()
    // The browser lacks the segments that were made at the bucket, of tails. Those that it has sent do not come back.
    expect(back.result).toMatchObject({ copied: 2, reused: first.result.copied })
    const came = objects(back.wire, 'GET', 'seg')
    expect(came).toHaveLength(2)
    expect(came).toContain(fold[0])
    expect(came.filter((name) => before.includes(name))).toHaveLength(1)
    // Of the log it is the push, which has the list of segments, and what came after it.
    expect(entriesOf(back.wire, 'GET')).toEqual(
      Array.from({ length: back.result.from - small.result.version + 1 }, (_, i) => small.result.version + i),
    )
    expect(sum(back.wire, 'answered')).toBeLessThan(first.result.bytes / 4)
    await inPage(9)

    // And once more, with changes on both sides, one after the other.
    await call('write(10, 10)')
    await call('close()')
    const on = await pushed()
    expect(objects(on.wire, 'PUT', 'seg')).toHaveLength(on.result.copied + 1)
    expect(on.result.copied).toBeLessThanOrEqual(1)
    expect(on.result.bytes).toBeLessThan(first.result.bytes / 8)
    expect(entriesOf(on.wire, 'PUT')).toEqual([on.result.version - 1, on.result.version])
    await onServer('moved', async (store) => {
      await inNode(10, store)
      await commitRounds(store, 11, 12)
      await store.checkpoint()
      await commitRounds(store, 13, 13)
    })
    const folded = await pulled()
    expect(objects(folded.wire, 'GET', 'seg')).toHaveLength(folded.result.copied)
    expect(folded.result.copied).toBeLessThanOrEqual(2)
    expect(folded.result.reused).toBeGreaterThan(first.result.copied)
    expect(sum(folded.wire, 'answered')).toBeLessThan(first.result.bytes / 4)
    // Who has written in the browser is looked up to the fence of the pull before; the first one reads the whole log for it.
    expect(folded.read).toBeLessThan(first.result.bytes / 4)
    await inPage(13)
    const bucket = bySdk(miniflare.place, '')
    const { items } = await bucket.blobs.list('moved/')
    expect(items.map(({ name }) => name).filter((name) => name.includes('/pins/'))).toEqual([])
    expect((await verify({ storage: bucket, name: 'moved' })).damages).toEqual([])
  } finally {
    await running.kill()
  }
}, 180_000)

test("a page opens a server's store on S3 to read it, and follows what the server commits", async () => {
  const running = await chromium.start(temporaryFolder())
  try {
    const call = await opened(running.page)
    await onServer('prices', async (store) => {
      const early = await commitRounds(store, 0, 3)
      await store.checkpoint()
      await commitRounds(store, 4, 5)
      // Opening takes the entry with the list of segments, and those after it; a row takes a part of one segment.
      const opening = await overWire(() => call(`follow('prices')`))
      const fold = early.at(-1)!.version + 1
      expect(entriesOf(opening.wire, 'GET')).toEqual([fold, fold + 1, fold + 2])
      expect(objects(opening.wire, 'GET', 'seg')).toEqual([])
      const row = await overWire(() => call<string>('row(700)'))
      expect(row.answer).toBe(truthAfter(5)['["row",700]'])
      expect(objects(row.wire, 'GET', 'seg')).toHaveLength(1)
      expect(entriesOf(row.wire, 'GET')).toEqual([])
      expect(sum(row.wire, 'answered')).toBeLessThan(early[0]!.bytes / 4)
      const whole = await overWire(() => call('contents()'))
      expect(whole.answer).toEqual({ offsets: { rounds: 6 }, entries: truthAfter(5) })
      const segments = new Set([...objects(row.wire, 'GET', 'seg'), ...objects(whole.wire, 'GET', 'seg')])
      expect(segments.size).toBe(store.metrics().segments.live)
      expect(await call('refusal()')).toBe('READ_ONLY')

      const read = new Set(objects(opening.wire, 'GET', 'log'))
      const expected: string[] = []
      for (const round of [6, 7, 8, 9]) {
        const { answer: version, wire } = await overWire(async () => {
          const [made] = await commitRounds(store, round, round)
          await call(`reached(${made!.version})`)
          return made!.version
        })
        // Each entry comes once, and no segment for it.
        const entries = objects(wire, 'GET', 'log')
        expect(entries.filter((name) => read.has(name))).toEqual([])
        expect(entries.map(numberOf)).toContain(version)
        expect(objects(wire, 'GET', 'seg')).toEqual([])
        for (const name of entries) read.add(name)
        expected.push(...toldOfRound(round, version))
        expect(await call('contents()')).toEqual({ offsets: { rounds: round + 1 }, entries: truthAfter(round) })
      }
      const { changed } = await call<{ changed: unknown }>(`reached(${store.version})`)
      expect(changed).toEqual(expected)

      // The server folds, and goes on.
      await store.checkpoint()
      const [last] = await commitRounds(store, 10, 10)
      await call(`reached(${last!.version})`)
      const after = await overWire(() => call('contents()'))
      expect(after.answer).toEqual({ offsets: { rounds: 11 }, entries: truthAfter(10) })
      // Of the segments only those of the fold are new.
      const came = objects(after.wire, 'GET', 'seg')
      expect(came.length).toBeGreaterThan(0)
      expect(came.filter((name) => segments.has(name))).toEqual([])
      for (const [round, { version }] of early.entries())
        expect(await call(`contentsAt(${version})`)).toEqual(truthAfter(round))
    })
    await call('close()')
    // All that the page has sent was to read.
    expect(written(proxy.seen.filter(({ key }) => key.includes('prices')))).toEqual([])
  } finally {
    await running.kill()
  }
}, 180_000)
