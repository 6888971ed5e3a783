/** Watches against a model: they tell exactly the difference of versions, whatever is folded and merged between them. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openStore, type Key, type WatchChange } from 'tidemark'
import { memory } from 'tidemark/memory'
import { compareKeys, keys, ModelMap } from '../support/arbitraries.js'
import { extent } from '../support/extent.js'
import { collect } from '../support/storages.js'
import { until } from '../support/until.js'

/** -0 is read back as 0. */
const plain = (key: Key): Key => (Array.isArray(key) ? key.map(plain) : key === 0 ? 0 : key)
const key = fc.oneof(keys.map(plain), fc.constantFrom<Key>('a', 'b', 'ab', 1, 2, 3, ['x', 1], ['x', 2]))
const change = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), key, value: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('range' as const), from: key, to: key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
)
const commit = fc.record({
  changes: fc.array(change, { maxLength: 8 }),
  after: fc.constantFrom('nothing', 'nothing', 'checkpoint', 'reopen'),
})

test('a watch tells exactly the difference of versions, under random commits, folds, merges and reopenings', async () => {
  const runs = fc.asyncProperty(
    fc.array(commit, { maxLength: 12 }),
    fc.record({ from: key, to: key }),
    fc.constantFrom(1, 3),
    // Below 100 bytes nearly every commit goes into segments at once.
    fc.constantFrom(20, 200, 2000),
    async (commits, { from, to }, partitions, bytes) => {
      const store = await openStore({
        storage: memory(),
        name: 's',
        partitions,
        checkpoint: { entries: 3, bytes },
        segmentBytes: 200,
        blockBytes: 50,
        cacheBytes: 300,
      })
      const told: WatchChange[] = []
      store.watch({ gte: from, lte: to }, (changes) => void told.push(...changes))
      const expected: WatchChange[] = []
      let model = new ModelMap<number>()
      for (const { changes, after } of commits) {
        const before = model.clone()
        for (const change of changes) {
          if (change.do === 'put') {
            store.put(change.key, change.value)
            model.set(change.key, change.value)
          } else if (change.do === 'delete') {
            store.delete(change.key)
            model.delete(change.key)
          } else if (change.do === 'range') {
            store.deleteRange({ gte: change.from, lt: change.to })
            model.keep((k) => compareKeys(k, change.from) < 0 || compareKeys(k, change.to) >= 0)
          } else {
            store.clear()
            model = new ModelMap()
          }
        }
        const { version } = await store.commit()
        const all = new ModelMap<true>()
        for (const [k] of [...before.entries(), ...model.entries()]) all.set(k, true)
        for (const [k] of all.entries()) {
          if (compareKeys(k, from) < 0 || compareKeys(k, to) > 0) continue
          const [was, is] = [before.get(k), model.get(k)]
          if (was === is) continue
          expected.push({
            key: k,
            ...(was !== undefined && { before: was }),
            ...(is !== undefined && { after: is }),
            version,
          })
        }
        if (after === 'checkpoint') await store.checkpoint()
        if (after === 'reopen') await store.reopen()
      }
      await until(() => told.length >= expected.length)
      expect(told).toEqual(expected)
      expect((await collect(store.entries())).map(([, value]) => value)).toEqual(model.entries().map(([, v]) => v))
      await store.close()
    },
  )
  await fc.assert(runs, { numRuns: extent(100, 40) })
}, 60_000)
