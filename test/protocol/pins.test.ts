/** Rules R35 to R40 of docs/protocol.md: pins, forks and readers. */
import { expect } from 'vitest'
import { edit, rule } from '../support/mutated.js'
import { collectorsRule } from '../support/rule-simulations.js'
import { clockOf, code, open, put } from '../support/rule-stores.js'

rule(
  'R35',
  'what was collected while its pin was being made is not pinned',
  [edit('src/engine/history/pin-version.ts', ': await isKept(ctx, log, now, Math.max(version, keeps))', ': true')],
  async (sources) => {
    const time = { ms: 0 }
    const options = { mode: 'shared', clock: clockOf(time), graceMs: 1_000, retain: { versions: 1 } } as const
    const memory = sources.memory()
    const other = await open(sources, memory, options)
    let isNext = false
    const storage = sources.intercept(memory, async (call, run) => {
      if (isNext && call.method === 'put' && call.path.includes('/pins/')) {
        isNext = false
        await other.maintain()
      }
      return run(call.signal)
    })
    const versions: number[] = []
    for (let i = 0; i < 6; i++) {
      versions.push(await put(other, 'a', i))
      await other.checkpoint()
    }
    const store = await open(sources, storage, options)
    isNext = true
    await expect(store.tag('monday', { at: versions[2]! })).rejects.toThrow(code('VERSION_EXPIRED'))
    expect(isNext).toBe(false)
    await Promise.all([store.close(), other.close()])
  },
)

collectorsRule(
  'R36',
  'what a pin holds stays',
  [
    edit(
      'src/engine/gc/collector.ts',
      'for (const pin of pins) for (const { name } of',
      'if (false) for (const pin of pins) for (const { name } of',
    ),
  ],
  /Segment .* is missing/,
)

rule(
  'R38',
  'a store is not destroyed while forks hold it',
  [edit('src/tools/stores.ts', 'if (!isTombstone(bytes)) await assertNotForked(ctx, paths, force)', '')],
  async (sources) => {
    const storage = sources.memory()
    const store = await open(sources, storage)
    await put(store, 'a', 1)
    await store.checkpoint()
    await put(store, 'b', 1)
    await store.fork('child')
    await store.close()
    await expect(sources.destroyStore({ storage, name: 's' })).rejects.toThrow(code('CONFLICT'))
  },
)
