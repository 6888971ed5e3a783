/** Rules R1 to R12 of docs/protocol.md: what the state of a log is. */
import { expect } from 'vitest'
import * as pure from '../../src/bytes/pure.js'
import type { LogContext } from '../../src/engine/context.js'
import type { ShardState } from '../../src/engine/state.js'
import type { Manifest } from '../../src/manifest/manifest.js'
import { edit, rule } from '../support/mutated.js'
import { collectorsRule } from '../support/rule-simulations.js'
import { ageing, clockOf, open, pause, put, reopened } from '../support/rule-stores.js'
import { collect } from '../support/storages.js'

collectorsRule(
  'R1',
  'a fold does not list what a reset has put away',
  [
    edit(
      'src/engine/compaction/compactor.ts',
      'get edits(): readonly Edit[] {',
      `get edits(): readonly Edit[] {
    const fold = this.#ready.get('fold')
    if (fold) this.#ready.set('fold', { ...fold, from: this.#shard.state.manifest.covers })`,
    ),
    edit(
      'src/engine/compaction/compactor.ts',
      'const fits = applyEdit(this.#shard.state.manifest, edit) !== undefined',
      'const fits = true',
    ),
    edit('src/engine/compaction/compactor.ts', 'this.#drop((edit) => applyEdit(after, edit) === undefined)', ''),
  ],
  /in the end: version/,
)

rule(
  'R2',
  'a merge that has forgotten deletes fits only at the bottom',
  [edit('src/manifest/edits.ts', 'if (edit.bottom && first > 0) return undefined', '')],
  async ({ applyEdit }) => {
    const run = (name: string) => [{ name, clip: undefined }] as unknown as Manifest['runs'][number]
    const edit = { kind: 'merge', inputs: [run('b'), run('c')], output: run('d'), bottom: true } as const
    const manifest = (...names: string[]): Manifest => ({ runs: names.map(run) }) as unknown as Manifest
    expect(applyEdit(manifest('b', 'c'), edit)?.runs).toEqual([run('d')])
    expect(applyEdit(manifest('a', 'b', 'c'), edit)).toBeUndefined()
    expect(applyEdit(manifest('b'), edit)).toBeUndefined()
  },
)

rule(
  'R3',
  'a merge does not make what is covered less',
  [edit('src/engine/entry-builder.ts', 'if (!reset && manifest.covers < before.covers) {', 'if (false) {')],
  async ({ buildEntry }) => {
    const run = [{ name: 'a', clip: undefined }] as unknown as Manifest['runs'][number]
    const config = { partitions: 1, job: undefined, created: 0 }
    // Repaired from an older manifest than the one that the log names.
    const manifest = { config, covers: 20, codecs: new Map<string, string>(), runs: [run] }
    const [mode, none] = ['exclusive', { offsets: new Map(), spans: new Map(), sync: undefined }] as const
    const numbers = {
      time: 1,
      version: 30,
      versionTime: 1,
      manifestAt: 28,
      covers: 27,
      trim: 0,
      keeps: 0,
      collectedAt: 0,
    }
    const state = { head: 30, headHash: new Uint8Array(16), manifest, carried: { mode, ...numbers, ...none } }
    const log = { logId: new Uint8Array(16), writerId: new Uint8Array(16), path: 's/0/id', writes: 0, platform: pure }
    const edits = [{ kind: 'merge', inputs: [run], output: [], bottom: true }] as const
    const built = await buildEntry(log as unknown as LogContext, state as unknown as ShardState, {
      kind: 'fold',
      time: 2,
      edits,
    })
    expect(built.entry.carried?.covers).toBe(27)
  },
)

rule(
  'R4',
  'a restore covers all that was before it',
  [
    edit(
      'src/engine/entry-builder.ts',
      'config: state.manifest.config, covers: n - 1 }',
      'config: state.manifest.config }',
    ),
  ],
  async (sources) => {
    const storage = sources.memory()
    const store = await open(sources, storage)
    const version = await put(store, 'a', 1)
    await put(store, 'b', 2)
    await store.restore(version)
    const after = await reopened(sources, store, storage)
    expect(await collect(after.entries())).toEqual([['a', 1]])
    await after.close()
  },
)

rule(
  'R5',
  'a reset of some partitions takes back their offsets only',
  [edit('src/engine/history/reset.ts', 'if (chosen.has(partition!) === isChosen) positions', 'positions')],
  async ({ spliceOffsets }) => {
    const offsets = (position: number): Parameters<typeof spliceOffsets>[0] =>
      new Map([['events', new Map([0, 1].map((partition) => [partition, position] as const))]])
    const spliced = spliceOffsets(offsets(9), offsets(5), new Set([0]), new Map())
    expect([...spliced.get('events')!]).toEqual([
      [0, 5],
      [1, 9],
    ])
  },
)

rule(
  'R6',
  'headers carry the offsets forward',
  [
    edit(
      'src/engine/entry-builder.ts',
      'offsets: change.offsets ?? before.offsets',
      'offsets: change.offsets ?? new Map()',
    ),
  ],
  async (sources) => {
    const storage = sources.memory()
    const store = await open(sources, storage)
    store.put('a', 1)
    await store.commit({ offsets: { events: 7 } })
    await put(store, 'a', 2)
    const after = await reopened(sources, store, storage)
    expect(after.offsets).toEqual({ events: 7 })
    await after.close()
  },
)

rule(
  'R7',
  'joined commits count in the order of their calls',
  [
    edit(
      'src/engine/memtable.ts',
      'this.deleteRanges(slot, codec, ranges)\n      for (const [key, point] of points) this.set(slot, codec, key, point)',
      'for (const [key, point] of points) this.set(slot, codec, key, point)\n      this.deleteRanges(slot, codec, ranges)',
    ),
  ],
  async (sources) => {
    const storage = sources.memory()
    const store = await open(sources, storage)
    store.put('a', 1)
    const first = store.commit()
    store.clear()
    store.put('b', 2)
    expect((await store.commit()).version).toBe((await first).version)
    const after = await reopened(sources, store, storage)
    expect(await collect(after.entries())).toEqual([['b', 2]])
    await after.close()
  },
)

rule(
  'R8',
  'times of versions never go back',
  [
    edit('src/engine/entry-builder.ts', 'const time = Math.max(before.time, change.time)', 'const time = change.time'),
    edit(
      'src/engine/write/committer.ts',
      'Math.max(this.#host.state.carried.time, currentTime(this.#ctx, this.#log))',
      'currentTime(this.#ctx, this.#log)',
    ),
  ],
  async (sources) => {
    const time = { ms: 10_000 }
    const store = await open(sources, sources.memory(), { clock: clockOf(time) })
    await put(store, 'a', 1)
    time.ms = 0
    await put(store, 'a', 2)
    const times = (await collect(store.versions())).map((version) => Number(version.time))
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    await store.close()
  },
)

rule(
  'R9',
  'what has expired goes on hiding what lies beneath',
  [
    edit(
      'src/engine/compaction/run-writer.ts',
      'return oldest && left.bytes === undefined ? undefined : left',
      'return left.bytes === undefined ? undefined : left',
    ),
  ],
  async (sources) => {
    const time = { ms: 0 }
    const storage = sources.memory()
    const store = await open(sources, storage, { clock: clockOf(time) })
    await put(store, 'a', 1)
    await store.checkpoint()
    store.put('a', 2, { ttlMs: 1_000 })
    await store.commit()
    time.ms = 5_000
    await put(store, 'b', 1)
    await store.checkpoint()
    const after = await reopened(sources, store, storage)
    expect(await after.get('a')).toBeUndefined()
    await after.close()
  },
)

rule(
  'R10',
  'a fork names segments of its parent because its pin holds them',
  [
    edit(
      'src/engine/history/fork.ts',
      'name: logPath(name, logId), ttlMs: 0, ...source })',
      'name: logPath(name, logId), ttlMs: 0, ...source })\n  await ctx.storage.blobs.delete([pin.blob])',
    ),
  ],
  async (sources) => {
    const storage = sources.memory()
    const { store, past, time, options, outlive } = await ageing(sources, {}, storage)
    await store.fork('child', { at: past })
    await outlive()
    await store.maintain()
    time.ms += 1_500
    await store.maintain()
    const child = await open(sources, storage, { ...options, name: 'child' })
    await expect(child.get('old')).resolves.toBe(1)
    await Promise.all([child.close(), store.close()])
  },
)

rule(
  'R11',
  'what rots of the fold of a kept version is read from the fold before it and the entries since',
  [edit('src/engine/gc/retention.ts', 'n < kept.carried!.manifestAt && carried', 'n <= kept.n && carried')],
  async (sources) => {
    const storage = sources.memory()
    const names = async (): Promise<string[]> =>
      (await storage.blobs.list('s/')).items.flatMap(({ name }) => (name.includes('/seg/') ? [name] : []))
    const { store, time, options } = await ageing(sources, {}, storage)
    await put(store, 'old', 3)
    const before = await names()
    await store.checkpoint()
    const newest = (await names()).filter((name) => !before.includes(name))
    const kept = await put(store, 'a', 5)
    await store.maintain()
    time.ms += 1_500
    expect((await store.maintain()).deleted.entries).toBeGreaterThan(0)
    await storage.blobs.delete(newest)
    // The newest version is read from the newest fold.
    await put(store, 'a', 6)
    const after = await open(sources, storage, options)
    const view = await after.at(kept)
    await expect(view.get('old')).resolves.toBe(3)
    await Promise.all([after.close(), store.close()])
  },
)

rule(
  'R12',
  'a watcher is told what a restore changed',
  [edit('src/store/watching/watch.ts', 'to.manifest.covers <= from.head && (to.resetAt ?? 0) <= from.head', 'true')],
  async (sources) => {
    const store = await open(sources, sources.memory())
    await put(store, 'a', 1)
    await store.checkpoint()
    const version = await put(store, 'b', 1)
    await put(store, 'a', 2)
    const told: unknown[] = []
    store.watch({}, (changes) => void told.push(...changes.map(({ before, after }) => [before, after])))
    await store.restore(version)
    for (let i = 0; i < 100 && told.length === 0; i++) await pause()
    expect(told).toEqual([[2, 1]])
    await store.close()
  },
)
