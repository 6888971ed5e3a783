/** Rules R57 and R58 of docs/protocol.md: what has to have an end. */
import { expect } from 'vitest'
import { edit, rule } from '../support/mutated.js'
import { code, open, put, reopened } from '../support/rule-stores.js'

rule(
  'R57',
  'a key that is longer than the bounds say is found',
  [edit('src/manifest/ref.ts', 'cut[i]!++', '')],
  async (sources) => {
    const storage = sources.memory()
    const store = await open(sources, storage)
    const key = 'x'.repeat(80)
    await put(store, key, 1)
    await store.checkpoint()
    const after = await reopened(sources, store, storage)
    expect(await after.get(key)).toBe(1)
    await after.close()
  },
)

rule(
  'R58',
  'commits fail when the tail cannot be folded',
  [edit('src/engine/compaction/scheduler.ts', 'if (over >= PATIENCE) throw error', '')],
  async (sources) => {
    let isRefused = false
    const storage = sources.intercept(sources.memory(), async (call, run) => {
      if (isRefused && call.target === 'blobs' && call.method === 'put') throw new Error('no uploads')
      return run(call.signal)
    })
    const store = await open(sources, storage, { checkpoint: { entries: 4 } })
    isRefused = true
    const write = async (): Promise<void> => {
      for (let i = 0; i < 40; i++) await put(store, 'a', i)
    }
    await expect(write()).rejects.toThrow(code('STORAGE_UNAVAILABLE'))
    store.discard()
    await store.close().catch(() => undefined)
  },
)
