/** Rules R35 to R40 of docs/protocol.md: pins, forks and readers. */
import { expect } from 'vitest'
import { edit, rule } from '../support/mutated.js'
import { collectorsRule } from '../support/rule-simulations.js'
import { ageing, clockOf, code, open, pinned, put } from '../support/rule-stores.js'

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

rule(
  'R35',
  'a pin that its maker may still take back counts for nobody else',
  [
    edit(
      'src/engine/gc/collector.ts',
      'n < keeps && wanted.has(n))',
      'n < keeps && wanted.has(n) && !listing.pins.some(({ version }) => version === n))',
    ),
  ],
  async (sources) => {
    const time = { ms: 0 }
    const options = { mode: 'shared', clock: clockOf(time), graceMs: 1_000, retain: { versions: 1 } } as const
    const memory = sources.memory()
    const other = await open(sources, memory, options)
    const newest = await put(other, 'a', 1)
    // In the next hour.
    time.ms = 3_600_000
    for (let i = 2; i < 6; i++) {
      await put(other, 'a', i)
      await other.checkpoint()
    }
    let isNext = true
    const storage = sources.intercept(memory, async (call, run) => {
      const answer = await run(call.signal)
      if (isNext && call.method === 'put' && call.path.includes('/pins/')) {
        isNext = false
        await other.maintain()
      }
      return answer
    })
    const store = await open(sources, storage, options)
    await store.maintain()
    expect(isNext).toBe(false)
    await other.refresh()
    const kept: number[] = []
    for await (const { version } of other.versions()) kept.push(version)
    expect(kept).toContain(newest)
    expect(kept.length).toBeLessThan(5)
    const past = await other.at(newest)
    expect(await past.get('a')).toBe(1)
    await Promise.all([past.close(), store.close(), other.close()])
  },
)

collectorsRule(
  'R36',
  'what a pin holds stays',
  [
    edit(
      'src/engine/gc/listing.ts',
      'for (const pin of pins) for (const { name } of',
      'if (false) for (const pin of pins) for (const { name } of',
    ),
  ],
  /Segment .* is missing/,
)

rule(
  'R36',
  'a pin that is made while a collector lists is seen',
  [
    edit(
      'src/engine/gc/listing.ts',
      'const segments = new Map<string, number>()',
      'const early = await pinsOf({ context: ctx, log })\n    const segments = new Map<string, number>()',
    ),
    edit('src/engine/gc/listing.ts', 'for (const pin of pins) for', 'for (const pin of early) for'),
  ],
  async (sources) => {
    const memory = sources.memory()
    let meanwhile: (() => Promise<void>) | undefined
    const storage = sources.intercept(memory, async (call, run) => {
      const act = call.method === 'list' && call.path.includes('/seg/') ? meanwhile : undefined
      if (act) meanwhile = undefined
      await act?.()
      return run(call.signal)
    })
    const { store, past, time, options, outlive } = await ageing(sources, { mode: 'shared' }, storage)
    const reader = await open(sources, memory, options)
    const view = await reader.at(past)
    await outlive()
    await store.maintain()
    time.ms = 500
    meanwhile = async () => {
      time.ms = 800
      await view.get('a')
      await pinned(memory)
      time.ms = 1_500
    }
    await store.maintain()
    await expect(view.get('old')).resolves.toBe(1)
    await Promise.all([store.close(), reader.close()])
  },
)

rule(
  'R37',
  'what an expired pin held is still there when its removal was cut off',
  [
    edit(
      'src/engine/gc/listing.ts',
      'for (const pin of pins) for (const { name } of',
      `const known = log.storageTime ?? { time: ctx.clock.now(), at: ctx.clock.monotonic() }
  const soon = known.time + ctx.clock.monotonic() - known.at + ctx.graceMs
  for (const pin of pins) if (pin.expires === 0 || pin.expires > soon) for (const { name } of`,
    ),
  ],
  async (sources) => {
    const memory = sources.memory()
    let isCut = false
    const storage = { ...memory, blobs: { ...memory.blobs, delete: remove } }
    async function remove(names: readonly string[]): Promise<{ readonly time?: number | undefined }> {
      if (!isCut) return memory.blobs.delete(names)
      await memory.blobs.delete(names.filter((name) => !name.includes('/pins/')))
      throw new Error('cut off')
    }
    const { store, past, time, outlive } = await ageing(sources, {}, storage)
    await store.tag('monday', { at: past, ttlMs: 1_200 })
    await outlive()
    time.ms = 500
    await store.maintain()
    time.ms = 1_600
    isCut = true
    await store.maintain().catch(() => undefined)
    const pins = (await memory.blobs.list('s/')).items.filter(({ name }) => name.includes('/pins/'))
    expect(pins.length).toBe(1)
    expect((await sources.verify({ storage: memory, name: 's' })).damages).toEqual([])
    await store.close()
  },
)

rule(
  'R38',
  'a store is not destroyed while forks hold it',
  [edit('src/tools/destroy.ts', 'if (!isTombstone(bytes)) await assertNotForked(ctx, [...paths], force)', '')],
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

rule(
  'R38',
  'a fork whose hold was dropped cannot begin any more',
  [
    edit(
      'src/engine/gc/fork-holds.ts',
      "const { outcome } = await log.log.claim(1, encodeEntry(bareEntry(log, 1, 'void')), 1)\n    return outcome !== 'committed'",
      'return false',
    ),
  ],
  async (sources) => {
    const memory = sources.memory()
    const { store, past, time, options, outlive } = await ageing(sources, { mode: 'shared' }, memory)
    let isStalled = false
    const storage = sources.intercept(memory, async (call, run) => {
      if (call.method === 'claim' && call.path.startsWith('child/')) {
        isStalled = true
        await outlive()
        for (let i = 0; i < 3; i++) {
          time.ms += 1_500
          await store.maintain()
        }
      }
      return run(call.signal)
    })
    const other = await open(sources, storage, options)
    const isForked = await other.fork('child', { at: past }).then(
      () => true,
      () => false,
    )
    expect([isStalled, isForked]).toEqual([true, false])
    await Promise.all([store.close(), other.close()])
  },
)

rule(
  'R39',
  'a segment that was collected meanwhile is no damage',
  [
    edit(
      'src/engine/repair/repairer.ts',
      'if (damage.isMissing && !this.#damaged.has(name)) await this.#assertKept(state)',
      '',
    ),
  ],
  async (sources) => {
    const storage = sources.memory()
    const { store, past, time, options, outlive } = await ageing(sources, {}, storage)
    const reader = await open(sources, storage, { ...options, mode: 'follower' })
    const view = await reader.at(past)
    await outlive()
    await store.maintain()
    time.ms += 1_500
    await store.maintain()
    await expect(view.get('old')).rejects.toThrow(code('VERSION_EXPIRED'))
    await Promise.all([store.close(), reader.close()])
  },
)

rule(
  'R39',
  'an entry that was trimmed meanwhile is no damage',
  [edit('src/engine/history/past.ts', 'if (anchor && n <= anchor.trim) return expired(ctx.store, n)', '')],
  async (sources) => {
    const storage = sources.memory()
    const { store, past, time, options, outlive } = await ageing(sources, {}, storage)
    const reader = await open(sources, storage, { ...options, mode: 'follower' })
    await outlive()
    await store.maintain()
    time.ms += 1_500
    await store.maintain()
    await expect(reader.at(past)).rejects.toThrow(code('VERSION_EXPIRED'))
    await Promise.all([store.close(), reader.close()])
  },
)

rule(
  'R40',
  'what a handle was reading lately its own collector leaves alone',
  [edit('src/engine/gc/collector.ts', 'for (const reading of this.#ctx.held) {', 'for (const reading of []) {')],
  async (sources) => {
    const { store, past, time, outlive } = await ageing(sources)
    const view = await store.at(past)
    await outlive()
    await store.maintain()
    time.ms = 800
    await view.get('a')
    time.ms = 1_500
    await store.maintain()
    await expect(view.get('old')).resolves.toBe(1)
    await store.close()
  },
)

rule(
  'R40',
  'what is read for long is pinned where others collect',
  [
    edit(
      'src/engine/open/catch-up.ts',
      'longReads.use((part) => part.keep(ctx, log, present, state, own)).catch(() => undefined)',
      '',
    ),
  ],
  async (sources) => {
    const storage = sources.memory()
    const { store, past, time, options, outlive } = await ageing(sources, { mode: 'shared' }, storage)
    const reader = await open(sources, storage, options)
    const view = await reader.at(past)
    await outlive()
    await store.maintain()
    time.ms = 800
    await view.get('a')
    await pinned(storage)
    time.ms = 1_500
    await store.maintain()
    await expect(view.get('old')).resolves.toBe(1)
    await Promise.all([store.close(), reader.close()])
  },
)
