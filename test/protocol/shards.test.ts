/** Rules S1 to S5 of docs/protocol.md: how logs are sealed, and what follows on them. */
import type { Storage, Store } from 'tidemark'
import { expect } from 'vitest'
import { closeLog, type ShardContext } from '../../src/engine/context.js'
import { lookAt, type Living } from '../../src/engine/shards/end.js'
import { leaves } from '../../src/engine/shards/family.js'
import { finding } from '../../src/engine/shards/heirs.js'
import { replaceOwned } from '../../src/engine/shards/owned.js'
import { planFor } from '../../src/engine/shards/rescale.js'
import { sealLog } from '../../src/engine/shards/sealing.js'
import { applyEntry } from '../../src/engine/state.js'
import { handleOf } from '../../src/store/handles.js'
import { contextOf } from '../../src/transfer/options.js'
import { edit, rule } from '../support/mutated.js'
import { open, put } from '../support/rule-stores.js'
import { shardsRule } from '../support/rule-simulations.js'
import type * as Sources from '../support/sources.js'

const SUCCESSION = 'src/engine/shards/succession.ts'
const HALVES = [
  { first: 0, last: 1 },
  { first: 2, last: 3 },
]

/** A store of four partitions, with its handle still open. */
function four(sources: typeof Sources, storage: Storage): Promise<Store<string, number>> {
  return open(sources, storage, { partitions: 4, mode: 'exclusive' })
}

/** The log with which the store began, as somebody else finds it. The log is to be closed. */
async function root(storage: Storage): Promise<Living<ShardContext>> {
  const look = await lookAt(contextOf({ storage, name: 's' }, undefined))
  if (look === undefined || look.seal) throw new Error('The root was sealed.')
  return look
}

/** Seals the root, and dies before it has made what follows on it. */
async function sealOnly(storage: Storage): Promise<Living<ShardContext>> {
  const living = await root(storage)
  await sealLog(living, planFor(living.context, [living.log.logId], HALVES))
  await closeLog(living.context, living.log)
  return living
}

rule(
  'S1',
  'what stands behind a seal does not count',
  [edit('src/engine/open/recovery.ts', 'if (state.seal) return false', '')],
  async (sources) => {
    const storage = sources.memory()
    const before = await four(sources, storage)
    await put(before, 'a', 1)
    const { log, context } = await root(storage)
    await sealOnly(storage)
    // Somebody who has read nothing of the seal is slow.
    const { state } = (await lookAt(context))!
    const change = { kind: 'commit', time: 0 } as const
    const built = await sources.buildEntry(log, { ...state!, seal: undefined }, change)
    expect(applyEntry(state!, built).head).toBe(state!.head + 1)
    await log.log.append(built.entry.n, built.bytes, 1)
    const opened = await open(sources, storage, { shard: 0 })
    expect(handleOf(opened).state.carried.own).toMatchObject({ first: 0, last: 1 })
    await opened.close()
    await before.close()
  },
)

rule(
  'S1',
  'who seals appends nothing more',
  [edit('src/engine/write/committer.ts', 'if (built.entry.seal) this.#end(sealed(this.#ctx.store))', '')],
  async (sources) => {
    const storage = sources.memory()
    const store = await four(sources, storage)
    const replacing = replaceOwned([handleOf(store).shard], HALVES, undefined)
    // It comes behind the seal in the queue.
    const late = put(store, 'late', 1).then(String, (error: Error & { code: string }) => error.code)
    const { born } = await replacing
    for (const { context, log } of born) await closeLog(context, log)
    expect(await late).toBe('FENCED')
    await store.close()
  },
)

shardsRule(
  'S2',
  'all who meet a seal make the same children',
  [
    edit(
      SUCCESSION,
      'const make = async (child: Child): Promise<void> => {',
      'const make = async (named: Child): Promise<void> => {\n      const child = since ? named : { ...named, logId: ended.context.clock.random(16) }',
    ),
  ],
  /two living logs/,
)

rule(
  'S2',
  'whoever meets a seal makes what is missing',
  [
    edit(
      'src/engine/shards/family.ts',
      'const { children, born, named } = await successors(ended)',
      'const { children, born, named } = { children: ended.seal.children, born: [], named: () => undefined } as unknown as Awaited<ReturnType<typeof successors>>',
    ),
  ],
  async (sources) => {
    const storage = sources.memory()
    const store = await four(sources, storage)
    await put(store, 'a', 1)
    await store.close()
    await sealOnly(storage)
    const opened = await open(sources, storage, { shard: 0 }).catch((error: unknown) => ({ error }))
    expect(opened).not.toHaveProperty('error')
    await (opened as Store).close()
  },
)

rule(
  'S3',
  'a child begins above all that it comes of',
  [edit(SUCCESSION, '1 + Math.max(...parents.map((parent) => parent.ended.n))', '1 + parents[0]!.ended.n')],
  async (sources) => {
    const storage = sources.memory()
    await (await four(sources, storage)).close()
    await sources.rescale({ storage, name: 's' }, { shards: 2 })
    const right = await open(sources, storage, { shard: 3, mode: 'exclusive' })
    const own = right.partition(3)
    let newest = 0
    for (let i = 0; i < 9; i++) {
      own.put('a', i)
      newest = (await right.commit()).version
    }
    await right.close()
    await sources.rescale({ storage, name: 's' }, { shards: 1 })
    const merged = await four(sources, storage)
    expect(await put(merged, 'b', 1)).toBeGreaterThan(newest)
    await merged.close()
  },
)

/** All partitions of a shard that was merged stand where this one of its parents stood. */
function allAt(which: '.at(0)' | '.at(-1)'): ReturnType<typeof edit> {
  const position = '({ positions }: Span): number => Number(positions.get(undefined) ?? 0)'
  return edit(
    'src/engine/shards/spans.ts',
    '    put(offsets, spans, source, { isAligned, spans: all })',
    `    const position = ${position}
    const { positions } = all.toSorted((a, b) => position(a) - position(b))${which}!
    put(offsets, spans, source, { isAligned, spans: all.map((span) => ({ ...span, positions })) })`,
  )
}

shardsRule('S4', 'after a merge no partition goes back to where another one stood', [allAt('.at(0)')], /holds ".*" at/)

shardsRule('S4', 'after a merge no partition goes on from where another one stood', [allAt('.at(-1)')], /holds ".*" at/)

shardsRule(
  'S5',
  'a parent that is open is sealed before anything follows on the plan',
  [
    edit(
      SUCCESSION,
      'const end = look.seal ? look : await sealLog(look, sealFor)',
      'const end = look.seal ? look : ({ ...look, n: look.state.head, seal, range: rangeOf(look.state), state: { ...look.state, seal } } as never as Ended<ShardContext>)',
    ),
  ],
  /which lives|two living logs/,
  42,
)

shardsRule(
  'S5',
  'a plan of which one parent carries another seal never comes about',
  [
    edit(
      SUCCESSION,
      'const holds = all.every(({ seal }) => equalBytes(seal.plan, ended.seal.plan))',
      'const holds = true',
    ),
  ],
  /two living logs|which did not come of it/,
  48,
)

/** The shards that there are, as somebody else finds them. They are to be closed. */
async function halves(storage: Storage): Promise<readonly Living<ShardContext>[]> {
  const all = (await leaves(contextOf({ storage, name: 's' }, undefined), finding())) ?? []
  return all.flatMap((leaf) => (leaf.seal ? [] : [leaf]))
}

rule(
  'S5',
  'a parent that was sealed in vain goes on in its fallback',
  [edit(SUCCESSION, '[{ logId: ended.seal.fallback, ...ended.range }]', '[]')],
  async (sources) => {
    const storage = sources.memory()
    await put(await four(sources, storage), 'a', 1)
    await sources.rescale({ storage, name: 's' }, { shards: 2 })
    const all = await halves(storage)
    const [left, right] = all as [Living<ShardContext>, Living<ShardContext>]
    // Both were to be merged, and one of them was split instead.
    await sealLog(left, planFor(left.context, [left.log.logId, right.log.logId], [{ first: 0, last: 3 }]))
    const quarters = [2, 3].map((partition) => ({ first: partition, last: partition }))
    await sealLog(right, planFor(right.context, [right.log.logId], quarters))
    for (const { context, log } of all) await closeLog(context, log)
    const committed: unknown[] = []
    for (const shard of [0, 2, 3]) {
      const opened = await open(sources, storage, { shard, mode: 'exclusive' }).catch(() => undefined)
      opened?.partition(shard).put('b', 1)
      committed.push(...((await opened?.commit()) ? [shard] : []))
      await opened?.close()
    }
    expect(committed).toEqual([0, 2, 3])
  },
)
