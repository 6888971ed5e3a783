/** The committer between a queue and a log, with a host that only notes what it is told. */
import { expect, test } from 'vitest'
import { sliceOf } from '../../../../src/bytes/slice.js'
import type { TidemarkError } from '../../../../src/errors.js'
import { TidemarkError as Failure } from '../../../../src/errors.js'
import type { ShardContext } from '../../../../src/engine/context.js'
import type { CollectPlan } from '../../../../src/engine/entry-builder.js'
import type { Memtable } from '../../../../src/engine/memtable.js'
import { Point } from '../../../../src/engine/point.js'
import { applyEntry, type ShardState } from '../../../../src/engine/state.js'
import type { CompactionScheduler } from '../../../../src/engine/compaction/scheduler.js'
import { Committer, type CommitterHost } from '../../../../src/engine/write/committer.js'
import type { CommitRequest, CommitResult } from '../../../../src/engine/write/requests.js'
import { offsetsToObject, parseOffsets } from '../../../../src/log/offsets.js'
import { LogWorld } from '../../../support/log-world.js'
import { memtableOf, requestOf, SLOT } from '../../../support/parts.js'

const DOWN = new Failure('STORAGE_UNAVAILABLE', 'down', { retryable: true })
const UNSETTLED = { outcome: 'unknown', settle: false } as const
const outcomes = (all: readonly Promise<CommitResult>[]): Promise<unknown[]> =>
  Promise.all(
    all.map((one) =>
      one.then(
        ({ version }) => version,
        ({ code }: TidemarkError) => code,
      ),
    ),
  )

/** A committer on a log that has one entry. */
class Bench {
  readonly world: LogWorld
  readonly committer: Committer
  state: ShardState
  /** The values of the commits that were rolled back, oldest first, and whether offsets were among them. */
  readonly rolledBack: { readonly values: number[]; readonly withOffsets: boolean }[] = []
  readonly endings: string[] = []
  readonly catchUps: (() => Promise<void>)[] = []
  collection: CollectPlan | undefined
  dropped = 0

  static async open(change: Partial<ShardContext> = {}): Promise<Bench> {
    const world = new LogWorld(change)
    return new Bench(world, await world.begin())
  }

  private constructor(world: LogWorld, state: ShardState) {
    this.world = world
    this.state = state
    const compaction = {
      admit: () => Promise.resolve(),
      edits: [],
      signal: new AbortController().signal,
      dropWaiting: () => Promise.resolve(void this.dropped++),
    }
    Object.defineProperty(compaction, 'collection', { get: () => this.collection })
    const host: Omit<CommitterHost, 'state'> = {
      context: world.ctx,
      log: world.log,
      advance: (built) => void (this.state = applyEntry(this.state, built)),
      ended: ({ code }) => void this.endings.push(code),
      derive: undefined,
      rollback: (memtables, withOffsets) => void this.rolledBack.push({ values: memtables.map(valueOf), withOffsets }),
      catchUp: () => this.catchUps.shift()?.() ?? Promise.resolve(),
    }
    Object.defineProperty(host, 'state', { get: () => this.state })
    this.committer = new Committer(host as CommitterHost, compaction as unknown as CompactionScheduler)
  }

  commit(value: number, request: Partial<CommitRequest> = {}): Promise<CommitResult> {
    return this.committer.commit(requestOf(memtableOf({ puts: [['k', value]] }), request))
  }

  /** A rival writes the next entry, and this handle will hear of it when it catches up. */
  async rivalWrites(value: number): Promise<void> {
    const theirs = await this.world.append(
      this.state,
      [{ memtable: memtableOf({ puts: [['theirs', value]] }) }],
      this.world.rival,
    )
    this.catchUps.push(() => Promise.resolve(void (this.state = theirs)))
  }

  /** The value of the key in the last entry. */
  get last(): number | undefined {
    return this.state.tail.at(-1)?.memtable && valueOf(this.state.tail.at(-1)!.memtable!)
  }
}

const valueOf = (memtable: Memtable): number => memtable.find(SLOT, 'k')?.bytes?.[0] ?? -1

test('commits of one turn are one entry, the later change over the earlier', async () => {
  const bench = await Bench.open()
  expect(await outcomes([bench.commit(1), bench.commit(2), bench.commit(3)])).toEqual([2, 2, 2])
  expect([bench.world.sent.length, bench.last]).toEqual([1, 3])
})

test('those that come while one is in flight share the next', async () => {
  const bench = await Bench.open()
  let answer!: () => void
  bench.world.next.push(new Promise((resolve) => (answer = resolve)))
  const first = bench.commit(1)
  await bench.world.clock.pause()
  const all = [first, bench.commit(2), bench.commit(3)]
  answer()
  expect(await outcomes(all)).toEqual([2, 3, 3])
})

test('a label, meta and offsets are those of one commit alone', async () => {
  const bench = await Bench.open()
  const offsets = parseOffsets({ a: 1 })
  const all = [bench.commit(1), bench.commit(2, { label: 'l' }), bench.commit(3), bench.commit(4, { offsets })]
  expect(await outcomes(all)).toEqual([2, 3, 4, 5])
  const entries = await bench.world.entries(2)
  expect(entries.map(({ label }) => label)).toEqual([undefined, 'l', undefined, undefined])
  expect(entries.map(({ carried }) => offsetsToObject(carried!.offsets))).toEqual([{}, {}, {}, { a: 1 }])
})

test('what surely did not happen goes back with all that queued behind it, in order, and the next commit goes on', async () => {
  const bench = await Bench.open()
  bench.world.next.push(DOWN)
  const offsets = parseOffsets({ a: 1 })
  const all = [bench.commit(1, { label: 'first' }), bench.commit(2), bench.commit(3, { offsets })]
  expect(await outcomes(all)).toEqual(Array(3).fill('STORAGE_UNAVAILABLE'))
  expect(bench.rolledBack).toEqual([{ values: [1, 2, 3], withOffsets: true }])
  expect([bench.endings, bench.committer.queue.memtables]).toEqual([[], []])
  expect(await outcomes([bench.commit(4)])).toEqual([2])
})

test('R13: what may have happened is not given back, what queued behind it is, and nothing more is appended', async () => {
  const bench = await Bench.open()
  bench.world.next.push(UNSETTLED)
  const all = [bench.commit(1, { label: 'first' }), bench.commit(2)]
  expect(await outcomes(all)).toEqual(['UNKNOWN_OUTCOME', 'UNKNOWN_OUTCOME'])
  expect(bench.rolledBack).toEqual([{ values: [2], withOffsets: false }])
  expect(bench.endings).toEqual(['UNKNOWN_OUTCOME'])
  expect(await outcomes([bench.commit(3)])).toEqual(['UNKNOWN_OUTCOME'])
  expect([bench.world.sent.length, bench.endings.length]).toEqual([1, 1])
})

test('a number that another owner took ends the right to write, once', async () => {
  const bench = await Bench.open()
  await bench.world.append(bench.state, [{}], bench.world.rival)
  expect(await outcomes([bench.commit(1), bench.commit(2)])).toEqual(['FENCED', 'FENCED'])
  expect(await outcomes([bench.commit(3)])).toEqual(['FENCED'])
  expect(bench.rolledBack.map(({ values }) => values)).toEqual([[1, 2], [3]])
  expect([bench.endings, bench.world.sent.length]).toEqual([['FENCED'], 1])
})

test('offsets that surely go back are refused at once, and nothing is taken', async () => {
  const bench = await Bench.open()
  await bench.commit(1, { offsets: parseOffsets({ a: 5 }) })
  await bench.world.clock.pause()
  expect(() => bench.commit(2, { offsets: parseOffsets({ a: 4 }) })).toThrow(/back to 4|back to/)
  expect([bench.committer.queue.memtables.length, bench.world.sent.length, bench.rolledBack]).toEqual([0, 1, []])
  await bench.commit(3, { offsets: parseOffsets({ a: 4 }), force: true })
  expect(offsetsToObject(bench.state.carried.offsets)).toEqual({ a: 4 })
})

test('behind others they are judged at their turn, on what was committed by then', async () => {
  const bench = await Bench.open()
  const all = [5, 4].map((a, i) => bench.commit(i, { offsets: parseOffsets({ a }) }))
  expect(await outcomes(all)).toEqual([2, 'INVALID_ARGUMENT'])
  expect(bench.rolledBack).toEqual([{ values: [1], withOffsets: true }])
})

test('a version that cannot be built fails alone: the commits behind it go on', async () => {
  const bench = await Bench.open()
  const reset = bench.committer.append(() => Promise.reject(DOWN))
  expect(await outcomes([reset, bench.commit(1)])).toEqual(['STORAGE_UNAVAILABLE', 2])
  expect(bench.rolledBack).toEqual([])
})

test('it is built on the state at its turn', async () => {
  const bench = await Bench.open()
  const heads: number[] = []
  const make = (state: ShardState): Promise<{ kind: 'commit' }> => {
    heads.push(state.head)
    return Promise.resolve({ kind: 'commit' })
  }
  expect(await outcomes([bench.commit(1), bench.committer.append(make), bench.committer.append(make)])).toEqual([
    2, 3, 4,
  ])
  expect(heads).toEqual([2, 3])
})

test('with nothing to carry no entry is made; a collection makes one that may take the room kept for it', async () => {
  const bench = await Bench.open()
  await bench.committer.carry()
  expect(bench.world.sent).toEqual([])
  bench.collection = { resetAt: undefined, keeps: 1, trim: 0, ids: [], encode: () => Uint8Array.of(0) }
  await bench.committer.carry()
  expect(bench.world.sent).toEqual([{ by: 'append', n: 2, options: { makesRoom: true } }])
  expect(bench.state).toMatchObject({ head: 2, carried: { version: 1, collectedAt: 2 } })
})

test('what was taken before it is closed is still appended, and nothing after', async () => {
  const bench = await Bench.open()
  const first = bench.commit(1)
  const closing = bench.committer.close(new Failure('CLOSED', 'closed'))
  expect(await outcomes([first])).toEqual([2])
  await closing
  expect(bench.endings).toEqual([])
  expect(bench.committer.ended).toMatchObject({ code: 'CLOSED' })
})

test('time does not go back, and a time to live counts from the put', async () => {
  const bench = await Bench.open()
  bench.world.clock.time = 50_000
  await bench.commit(1)
  bench.world.log.storageTime = undefined
  bench.world.clock.time = 20_000
  const memtable = memtableOf({})
  const point = new Point(1, 0, 19_900 + 1_000)
  point.seal(sliceOf(Uint8Array.of(1)), true)
  memtable.set(SLOT, 'json', 'k', point)
  await bench.commit(2, { memtable })
  expect([bench.state.carried.time, point.expires]).toEqual([50_000, 50_900])
})

test('a large commit goes by reference; when it is not written, nobody keeps its segments', async () => {
  const bench = await Bench.open({ checkpoint: { entries: 1_000, bytes: 10, large: 10 } })
  const puts = Array.from({ length: 20 }, (_, i) => [i, i] as const)
  const large = (): Promise<CommitResult> => bench.commit(1, { memtable: memtableOf({ puts }) })
  const blobs = async (): Promise<string[]> =>
    (await bench.world.ctx.storage.blobs.list('')).items.map(({ name }) => name)
  bench.world.next.push(DOWN)
  expect(await outcomes([large()])).toEqual(['STORAGE_UNAVAILABLE'])
  const [first] = await blobs()
  expect(bench.world.ctx.uploads.has(first!)).toBe(false)
  const { requests, bytes } = await large()
  const { references, memtable } = bench.state.tail.at(-1)!
  expect([memtable, references!.runs.flat().length, requests]).toEqual([undefined, 1, 2])
  expect(bytes).toBeGreaterThan(references!.runs.flat()[0]!.length)
  expect((await bench.world.entries(2))[0]!.delta).toBeUndefined()
})

test('when there is no room, what was uploaded and waits is deleted at once', async () => {
  const bench = await Bench.open()
  bench.world.next.push(new Failure('QUOTA', 'full'))
  expect(await outcomes([bench.commit(1)])).toEqual(['QUOTA'])
  expect(bench.dropped).toBe(1)
})

test('in shared mode each entry is a claim, and one that lost its number is built anew on what others wrote', async () => {
  const bench = await Bench.open({ isShared: true })
  await bench.rivalWrites(9)
  expect(await outcomes([bench.commit(1), bench.commit(2)])).toEqual([3, 3])
  expect(bench.world.sent.map(({ by, n }) => [by, n])).toEqual([
    ['claim', 2],
    ['claim', 3],
  ])
  expect([bench.last, bench.rolledBack]).toEqual([2, []])
})

test('R18: what no longer stands on top of that goes back as CONFLICT, with what would have lain above it', async () => {
  const bench = await Bench.open({ isShared: true })
  await bench.rivalWrites(9)
  const transaction = bench.commit(1, { kind: 'transaction' })
  const late: boolean[] = []
  const falls = (isLate: boolean): string | undefined => (late.push(isLate), isLate ? 'it fell' : undefined)
  const all = [transaction, bench.commit(2, { objection: falls }), bench.commit(3)]
  expect(await outcomes(all)).toEqual([3, 'CONFLICT', 'CONFLICT'])
  expect(bench.rolledBack).toEqual([{ values: [2, 3], withOffsets: false }])
  expect([late, valueOf(bench.state.tail.at(-1)!.memtable!)]).toEqual([[false, true], 1])
})

test('an entry without changes stands in nobody’s way', async () => {
  const bench = await Bench.open({ isShared: true })
  const fenced = await bench.world.append(bench.state, [{ kind: 'fence' }], bench.world.rival)
  bench.catchUps.push(() => Promise.resolve(void (bench.state = fenced)))
  expect(await outcomes([bench.commit(1, { objection: (isLate) => (isLate ? 'it fell' : undefined) })])).toEqual([3])
})

test('one refresh that has not begun is for all who ask, and a failed one passes its error on', async () => {
  const bench = await Bench.open({ isShared: true })
  let catchUps = 0
  bench.catchUps.push(() => Promise.resolve(void catchUps++))
  await Promise.all([bench.committer.refresh(), bench.committer.refresh()])
  expect([catchUps, bench.catchUps.length]).toEqual([1, 0])
  bench.catchUps.push(() => Promise.reject(DOWN))
  await expect(bench.committer.refresh()).rejects.toBe(DOWN)
  expect(await outcomes([bench.commit(1)])).toEqual([2])
})
