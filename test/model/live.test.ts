/** Live ranges against what their handles read: two writers, partitions, limits, restores, and what expires. */
import fc from 'fast-check'
import { isDeepStrictEqual } from 'node:util'
import { expect, test } from 'vitest'
import { openStore, type Key, type Live, type LiveOptions, type OpenOptions, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { extent } from '../support/extent.js'
import { ManualClock } from '../support/manual-clock.js'
import { until } from '../support/until.js'

const key = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constantFrom<Key>('a', 'b', ['x', 1], ['x', 2]))
const value = fc.record({ n: fc.integer({ min: 0, max: 2 }) })
const ttlMs = fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined, freq: 3 })
const change = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), key, value, ttlMs }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('range' as const), from: key, to: key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
)
const handle = fc.constantFrom(0, 1)
const part = fc.option(fc.nat(2), { nil: undefined })
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('commit' as const),
      handle,
      part,
      changes: fc.array(change, { maxLength: 6 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 200 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restore' as const), handle, part, back: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('checkpoint' as const, 'reopen' as const), handle }) },
)
const range = fc.record(
  { gte: key, lt: key, prefix: fc.constant(['x']), reverse: fc.boolean(), limit: fc.nat(5) },
  { requiredKeys: [] },
)

interface Case {
  readonly live: Live<readonly [Key, unknown]>
  readonly read: () => Promise<[Key, unknown][]>
  before: readonly (readonly [Key, unknown])[]
}

function casesOf(store: Store, ranges: readonly LiveOptions<Key>[], partitions: number): Case[] {
  const tables = [store, ...Array.from({ length: partitions }, (_, i) => store.partition(i))]
  return tables.flatMap((table) =>
    ranges.map((options) => ({ live: table.live(options), read: () => table.toArray(options), before: [] })),
  )
}

/** Each shows what its handle reads, and what stayed the same is the same. */
async function check(cases: readonly Case[]): Promise<void> {
  for (const each of cases) {
    const { live, read, before } = each
    await live.ready
    const wanted = await read()
    await until(() => isDeepStrictEqual(live.current, wanted))
    expect(live.current).toEqual(wanted)
    if (isDeepStrictEqual(before, wanted)) expect(live.current === before || !before.length).toBe(true)
    for (const entry of live.current) {
      // The same key may be in two partitions, with the number of the one that it was put through.
      const equals = before.filter((known) => isDeepStrictEqual(known, entry))
      if (equals.length > 0) expect(equals.includes(entry)).toBe(true)
    }
    each.before = live.current
  }
}

test('live ranges show what is read, under random commits, restores, folds, merges, reopenings and as time goes by', async () => {
  const runs = fc.asyncProperty(
    fc.array(step, { maxLength: 12 }),
    fc.array(range, { minLength: 1, maxLength: 2 }),
    fc.constantFrom(1, 3),
    fc.constantFrom(20, 200, 2000),
    async (steps, ranges, partitions, bytes) => {
      const clock = new ManualClock()
      const storage = memory()
      const options: OpenOptions = {
        storage,
        name: 's',
        mode: 'shared',
        partitions,
        clock,
        logger: false,
        segmentBytes: 200,
        blockBytes: 50,
        checkpoint: { entries: 3, bytes },
        cacheBytes: 300,
      }
      const stores = [await openStore(options), await openStore(options)]
      const cases = stores.flatMap((store) => casesOf(store, ranges, partitions))
      for (const step of steps) {
        if (step.do === 'pass') clock.pass(step.ms)
        else {
          const store = stores[step.handle]!
          await store.refresh()
          if (step.do === 'commit') {
            const table = step.part === undefined ? store : store.partition(step.part % partitions)
            for (const change of step.changes) {
              if (change.do === 'put')
                table.put(change.key, { ...change.value, part: step.part ?? null }, { ttlMs: change.ttlMs })
              else if (change.do === 'delete') table.delete(change.key)
              else if (change.do === 'range') table.deleteRange({ gte: change.from, lt: change.to })
              else table.clear()
            }
            await store.commit()
          } else if (step.do === 'restore') {
            const partial = step.part === undefined ? {} : { partitions: [step.part % partitions] }
            const versions: number[] = []
            for await (const { version } of store.versions({ reverse: true, limit: step.back + 1 }))
              versions.push(version)
            if (versions.length > 0) await store.restore(versions.at(-1)!, partial)
          } else if (step.do === 'checkpoint') await store.checkpoint()
          else await store.reopen()
        }
        for (const store of stores) await store.refresh()
        await check(cases)
      }
      for (const store of stores) await store.close()
    },
  )
  await fc.assert(runs, { numRuns: extent(100, 40) })
}, 120_000)
