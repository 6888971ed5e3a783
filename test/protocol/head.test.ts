/** Rules R23 to R34 of docs/protocol.md: where a log begins and ends, and how what is no longer needed goes. */
import { expect } from 'vitest'
import { edit, rule } from '../support/mutated.js'
import { collectorsRule } from '../support/rule-simulations.js'
import { ageing, clockOf, due, indexedEntries, open, put } from '../support/rule-stores.js'
import { objects } from '../support/collecting-world.js'
import type { Call } from '../../src/storage/intercept.js'
import { gate } from '../support/shared.js'
import { collect } from '../support/storages.js'

/** The read of the entry behind the head, or the list of what follows it. */
const isConfirming = ({ target, method }: Call): boolean => target === 'log' && (method === 'list' || method === 'read')

rule(
  'R23',
  'a writer of a destroyed store does not land in its successor',
  [edit('src/engine/open/create.ts', 'logId ?? ctx.clock.random(ID_BYTES)', 'logId ?? new Uint8Array(ID_BYTES)')],
  async (sources) => {
    const storage = sources.memory()
    const old = await open(sources, storage)
    await sources.destroyStore({ storage, name: 's' })
    const store = await open(sources, storage)
    await put(old, 'old', 1).catch(() => undefined)
    await expect(store.reopen()).resolves.toBeUndefined()
    expect(await collect(store.entries())).toEqual([])
    await Promise.all([store.close(), old.close()])
  },
)

rule(
  'R24',
  'the anchor never goes back',
  [edit('src/log/raise.ts', '{ ...hint, sealed: a.sealed, trim: Math.max(a.trim, b.trim), time', '{ ...b, time')],
  async ({ memory, raiseAnchor, readAnchor }) => {
    const anchor = memory().anchor('s/0/anchor')
    const logId = new Uint8Array(16)
    await raiseAnchor(anchor, 'it', { logId, trim: 50, manifestAt: 60, covers: 55, time: 2 })
    await raiseAnchor(anchor, 'it', { logId, trim: 20, manifestAt: 70, covers: 65, time: 1 })
    expect((await readAnchor(anchor, 'it')).value).toMatchObject({ trim: 50, manifestAt: 70, time: 2 })
  },
)

rule(
  'R25',
  'a head is confirmed by the trim number',
  [
    edit('src/engine/open/catch-up.ts', 'if (anchor.trim < state.head)', 'if (true)'),
    edit('src/engine/open/recovery.ts', 'equalBytes(value.logId, logId) && value.trim < head', 'true'),
    edit('src/engine/open/claim.ts', 'if (anchor.trim >= fence.entry.n) return undefined', ''),
  ],
  async (sources) => {
    for (const mode of ['exclusive', 'follower'] as const) {
      const time = { ms: 0 }
      const options = { clock: clockOf(time), graceMs: 1_000, retain: { versions: 1 } }
      const storage = objects(options.clock, 'writer')
      const owner = await open(sources, storage, options)
      await put(owner, 'a', 0)
      let isHeldUp = true
      // It has read the history up to its head. While it is held up, all that follows comes, is folded and is removed.
      const late = sources.intercept(storage, async (call, run) => {
        if (!isHeldUp || (call.method !== 'claim' && !(mode === 'follower' && isConfirming(call))))
          return run(call.signal)
        isHeldUp = false
        for (let i = 1; i <= 6; i++) {
          await put(owner, 'a', i)
          await owner.checkpoint()
        }
        await owner.maintain({ minDeletes: 1 })
        time.ms += 5_000
        await owner.maintain({ minDeletes: 1 })
        return run(call.signal)
      })
      const store = await open(sources, late, { ...options, mode })
      expect(isHeldUp).toBe(false)
      expect(await store.get('a')).toBe(6)
      await Promise.all([store.close(), owner.close()])
    }
  },
)

collectorsRule(
  'R26',
  'after a slow create the trim number is read again',
  [edit('src/engine/moment.ts', 'if (free?.storage === undefined', 'return false\n  if (free?.storage === undefined')],
  /was acknowledged as version .* not in the history/,
)

collectorsRule(
  'R27',
  'the clock of the storage tells what was slow',
  [
    edit(
      'src/engine/moment.ts',
      `if (free?.storage === undefined || answered.storage === undefined) return true
  return answered.storage - free.storage > graceMs / 2`,
      `if (free === undefined) return true
  return answered.local - free.local > graceMs / 2`,
    ),
  ],
  /was acknowledged as version .* not in the history/,
  320,
)

collectorsRule(
  'R28',
  'a create at a trimmed number is not lost',
  [edit('src/engine/write/send.ts', "'UNKNOWN_OUTCOME',\n    `Writing version", "'FENCED',\n    `Writing version")],
  /failed as FENCED, but was applied/,
)

rule(
  'R29',
  'without its anchor a store is found, not made anew',
  [edit('src/engine/open/lost-log.ts', ': await anchorOf(ctx, anchor, own)', ': undefined')],
  async (sources) => {
    const storage = sources.memory()
    const store = await open(sources, storage)
    await put(store, 'a', 1)
    await storage.anchor(sources.anchorPath('s')).remove()
    const after = await open(sources, storage)
    expect(await after.get('a')).toBe(1)
    await after.close()
    await store.close()
  },
)

rule(
  'R30',
  'nothing is removed before the anchor says so',
  [
    edit(
      'src/engine/gc/collector.ts',
      'let isRaised = numbers.length === 0 || (await this.#raiseTrim(trim, carried))',
      'let isRaised = true',
    ),
  ],
  async (sources) => {
    const removed: unknown[] = []
    const store = await due(sources, {}, ({ method, target }) => {
      if (method === 'swap') throw new Error('no swap now')
      if (target === 'log' && method === 'remove') removed.push(method)
    })
    await store.maintain().catch(() => undefined)
    expect(removed).toEqual([])
    await store.close()
  },
)

rule(
  'R31',
  'entries that a kept version needs are not trimmed',
  [
    edit(
      'src/engine/gc/retention.ts',
      'trim: Math.max(before.trim, spare?.carried?.covers ?? 0)',
      'trim: Math.max(before.trim, kept.n - 1)',
    ),
  ],
  async ({ retained }) => {
    const { trim } = retained(indexedEntries(), { versions: 1, ageMs: 0 }, 9, { keeps: 1, trim: 0 })
    expect(trim).toBeLessThanOrEqual(4)
  },
)

collectorsRule(
  'R32',
  'what is to be deleted was listed in an entry before',
  [
    edit(
      'src/engine/gc/collector.ts',
      'return { deleted, plan, waiting }',
      `if (plan) await this.#ctx.storage.blobs.delete(plan.ids.map((id) => segmentName(this.#log.path, id)))
    return { deleted, plan: undefined, waiting }`,
    ),
  ],
  /Segment .* is missing/,
)

rule(
  'R33',
  'what was condemned stays for a grace period',
  [
    edit(
      'src/engine/gc/collector.ts',
      'pending.filter(({ time }) => time + this.#ctx.graceMs <= now)',
      'pending.filter(() => true)',
    ),
  ],
  async (sources) => {
    const storage = sources.memory()
    const { store, past, options, outlive } = await ageing(sources, {}, storage)
    const reader = await open(sources, storage, { ...options, mode: 'follower' })
    const view = await reader.at(past)
    await outlive()
    expect((await store.maintain()).condemned.segments).toBeGreaterThan(0)
    await store.maintain()
    await expect(view.get('old')).resolves.toBe(1)
    await Promise.all([store.close(), reader.close()])
  },
)

rule(
  'R34',
  'what another writer has condemned is uploaded again before it is named',
  [
    edit(
      'src/engine/context.ts',
      'for (const name of names) if (this.#names.has(name)) this.#names.set(name, true)',
      '',
    ),
  ],
  async (sources) => {
    const memory = sources.memory()
    const [deleting, named] = [gate(), gate()]
    let isRemoving = false
    const slow = sources.intercept(memory, async (call, run) => {
      if (isRemoving && call.target === 'blobs' && call.method === 'delete') {
        deleting.open()
        await named.passed
      }
      return run(call.signal)
    })
    const { store, time, options } = await ageing(sources, { mode: 'shared' }, slow)
    let removing: Promise<unknown> | undefined
    let isNext = false
    const storage = sources.intercept(memory, async (call, run) => {
      if (isNext && call.method === 'claim') {
        isNext = false
        await store.maintain()
        time.ms += 1_500
        isRemoving = true
        removing = store.maintain()
        await deleting.passed
      }
      return run(call.signal)
    })
    const other = await open(sources, storage, { ...options, checkpoint: { bytes: 100 } })
    ;[deleting, named].forEach((way) => way.shut())
    isNext = true
    for (let i = 0; i < 50; i++) other.put(`key${i}`, i)
    await other.commit()
    named.open()
    await removing
    const reader = await open(sources, memory, { ...options, mode: 'follower' })
    await expect(reader.get('key7')).resolves.toBe(7)
    await Promise.all([store.close(), other.close(), reader.close()])
  },
)
