/** Indexes under random lives, and mistakes that such lives find. */
import { expect, test } from 'vitest'
import { extent } from '../support/extent.js'
import { IndexLife } from '../support/index-life.js'
import * as sources from '../support/sources.js'

test('indexes are what their functions make of the rows, whatever happens to these', async () => {
  const runs = Number(process.env['TIDEMARK_RUNS'] ?? extent(80, 4))
  const first = Number(process.env['TIDEMARK_SEED'] ?? 1)
  for (let seed = first; seed < first + runs; seed++) {
    try {
      await new IndexLife(sources, seed).run(60)
    } catch (error) {
      throw new Error(`Seed ${seed}: ${String(error)}`, { cause: error })
    }
  }
  expect(runs).toBeGreaterThan(0)
})

/** In each of these places a mistake is made; random lives have to see it, of which some see nothing before `from`. */
const MISTAKES: readonly [title: string, file: string, find: string, replace: string, from?: number][] = [
  [
    'commits that share an entry do not see those before them',
    'src/store/indexes/derive.ts',
    'viewOf(this.#state, [this.#own, this.made, ...this.#under], this.#ctx.cache)',
    'viewOf(this.#state, [this.#own, ...this.#under], this.#ctx.cache)',
  ],
  [
    'a range delete leaves the index alone',
    'src/store/indexes/derive.ts',
    'for (const range of ranges) await this.#removeRange(slot, range)',
    '',
  ],
  [
    'clear() leaves the index rows',
    'src/store/indexes/derive.ts',
    'for (const name of (await this.state(slot))?.indexes.keys() ?? []) this.#clear(rowsSlot(slot, name))',
    '',
  ],
  [
    'an index row lives longer than its row',
    'src/store/indexes/derive.ts',
    'this.#put(rowsSlot(slot, name), rowKey(indexKey, key), new Uint8Array(0), expires, due)',
    'this.#put(rowsSlot(slot, name), rowKey(indexKey, key), new Uint8Array(0), 0, 0)',
  ],
  [
    'a longer life of a row is not that of its index rows',
    'src/store/indexes/derive.ts',
    'const isSameLife = before?.expires === expires && before.due === due',
    'const isSameLife = before !== undefined',
  ],
  [
    'a key that a row has no more stays in the index',
    'src/store/indexes/derive.ts',
    'if (before) this.#removeRows(slot, key, before, keys)',
    '',
  ],
  [
    'a row that is deleted stays in the index',
    'src/store/indexes/derive.ts',
    'this.#removeRows(slot, key, before)\n',
    '',
  ],
  [
    'a program without the index leaves it behind',
    'src/store/indexes/derive.ts',
    'if (state) this.#drop(slot, state, true)',
    '',
  ],
  [
    'a unique key is judged in one partition alone',
    'src/store/indexes/unique.ts',
    'partition < this.#partitions; partition++',
    'partition < 1; partition++',
    17,
  ],
  [
    'an index that was there before is not cleared when it is built',
    'src/store/indexes/derive.ts',
    'if (state && !goesOn) {',
    'if (false) {',
  ],
  [
    'the states of indexes are in one partition',
    'src/store/indexes/layout.ts',
    'statesSlot = (partition: number): Slot => makeSlot(partition, INDEX_STATES)',
    'statesSlot = (_partition: number): Slot => makeSlot(0, INDEX_STATES)',
  ],
  [
    'reads do not compute what a state lacks',
    'src/store/indexes/derive.ts',
    'if (state && isReady(spec, state)) {\n        const',
    'if (true) {\n        const',
  ],
  ['a row gets the unique key of another one', 'src/store/indexes/derive.ts', 'this.#repeated ??= refusal', '', 17],
  [
    'a live range keeps the index rows that are gone',
    'src/store/watching/live-index.ts',
    'if (record?.bytes === undefined)\n            found',
    'if (false)\n            found',
  ],
  [
    'reads do not see what is uncommitted',
    'src/store/index-reads.ts',
    'memtables: pending.empty ? [] : [pending] }',
    'memtables: [] }',
  ],
]

test.each(MISTAKES)('a mistake is found: %s', async (_title, file, find, replace, from = 1) => {
  const query = Buffer.from(JSON.stringify([{ file, find, replace }])).toString('base64url')
  const broken = (await import(/* @vite-ignore */ `../support/sources.ts?edits=${query}`)) as typeof sources
  let found: unknown
  for (let seed = from; seed < from + 60 && found === undefined; seed++) {
    await new IndexLife(broken, seed).run(60).catch((error: unknown) => (found = error))
  }
  expect(String(found)).toMatch(/AssertionError|TidemarkError/)
})
