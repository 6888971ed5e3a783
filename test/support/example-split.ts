/** A golden set of a store of several logs: split, merged, a plan that did not hold, and all that their seals leave behind. */
import { openStore, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { fromHex, toHex } from '../../src/bytes/hex.js'
import { closeLog, type ShardContext } from '../../src/engine/context.js'
import { stateAt } from '../../src/engine/history/past.js'
import { contextOf as shardOf, lookAt, type Ended, type Living } from '../../src/engine/shards/end.js'
import { making } from '../../src/engine/shards/family.js'
import { holdFor } from '../../src/engine/shards/holds.js'
import { planFor, rescaleLogs } from '../../src/engine/shards/rescale.js'
import { sealLog } from '../../src/engine/shards/sealing.js'
import { rescale, type ShardRange } from '../../src/group/rescale.js'
import { changedRows } from '../../src/group/rows.js'
import { byId, type Shard } from '../../src/group/state.js'
import { readAnchor, type AnchorValue } from '../../src/log/anchor.js'
import { encodeEntry } from '../../src/log/encode.js'
import { decodeEntry, type Carried } from '../../src/log/entry.js'
import type { Position, Positions } from '../../src/log/offsets.js'
import { encodeAnchor } from '../../src/log/raise.js'
import { decodeSealedEnd, encodeSealedEnd, type SealedEnd } from '../../src/log/sealed-anchor.js'
import type { Child, Turn } from '../../src/log/shard-parts.js'
import type { Spans } from '../../src/log/spans.js'
import { logPath } from '../../src/manifest/names.js'
import { StoreHandle } from '../../src/store/handle.js'
import { resolveOptions } from '../../src/store/open-options.js'
import { Store } from '../../src/store/store.js'
import { atOnce } from '../../src/testing/at-once.js'
import { contextOf } from '../../src/transfer/options.js'
import { contentHash } from './crafted.js'
import { dump, movedClock, type Example } from './example.js'

const name = 'split'
const MEMBER = new Uint8Array(16).fill(0xee)

/** The living logs are those of partitions 0 to 3 and 4 to 5. */
export async function writeSplit(): Promise<Example> {
  const storage = atOnce(memory())
  const time = { now: 1_700_000_000_000 }
  const clock = movedClock(time)
  const place = { storage, name }
  const ctx = contextOf(place, clock)
  const write = async (shard: number | undefined, act: (store: Store<string, unknown>) => Promise<void>) => {
    time.now += 1000
    const settings = { deflateLevel: 0, checkpoint: { bytes: 300 }, partitions: 6, mode: 'exclusive' } as const
    const store = await openStore<string, unknown>({ ...place, ...settings, clock, shard })
    await act(store)
    await store.close()
    time.now += 1000
  }

  let old = 0
  await write(undefined, async (store) => {
    for (let i = 0; i < 6; i++) store.partition(i).put('first', i)
    old = (await store.commit({ offsets: { clicks: { 0: 1, 1: 1 }, views: 7 } })).version
    await store.checkpoint()
    for (let i = 0; i < 60; i++) store.partition(i % 6).put(`large ${i}`, `by reference ${i}`)
    await store.commit()
    await store.table('t').set('in the tail', true)
  })
  await rescale(place, { cuts: [2, 4] }, { clock })
  await write(0, async (store) => {
    store.partition(1).put('after the split', 1)
    await store.commit({ offsets: { clicks: { 0: 5, 1: 1 }, hits: 3 } })
  })
  await write(2, async (store) => {
    for (let i = 0; i < 10; i++) store.partition(2).put(`own ${i}`, i)
    await store.commit()
    await store.checkpoint()
  })
  await halfPlan(ctx)
  const shards = await rescaleLogs(ctx, () => [4])
  const [merged] = shards as [Child]
  await write(0, async (store) => void (await store.tag('differs')))
  await appendTurns(storage, merged)
  await hold(ctx, merged, old)
  await condemn(ctx, storage, time.now)
  await writeControlStore(storage, shards)
  return { storage, objects: await dump(storage, [name]) }
}

/** A merge of partitions 0 to 3, of which the second half was split instead: the first one goes on by itself. */
async function halfPlan(ctx: ShardContext): Promise<void> {
  const [left, right] = (await Promise.all((await livingOf(ctx, 2)).map((child) => living(ctx, child)))) as [
    Living<ShardContext>,
    Living<ShardContext>,
  ]
  const ids = [left.log.logId, right.log.logId]
  const ended: Ended<ShardContext>[] = []
  ended.push(await sealLog(left, planFor(left.context, ids, [range(0, 3)])))
  ended.push(await sealLog(right, planFor(right.context, ids.slice(1), [range(2, 2), range(3, 3)])))
  for (const end of ended) {
    await making(end)
    await closeLog(end.context, end.log)
  }
}

function range(first: number, last: number): ShardRange {
  return { first, last }
}

/** The first so many logs that the root says live. */
async function livingOf(ctx: ShardContext, count: number): Promise<readonly Child[]> {
  const { sealed } = await anchorOf(ctx, undefined)
  return decodeSealedEnd(sealed!, 'The anchor').living.slice(0, count)
}

async function living(ctx: ShardContext, child: Child): Promise<Living<ShardContext>> {
  const look = await lookAt(shardOf(ctx, child.logId), child)
  if (!look || look.seal) throw new Error('The log was sealed.')
  return look
}

async function anchorOf({ storage }: ShardContext, logId: Uint8Array | undefined): Promise<AnchorValue> {
  const path = `${name}/${logId ? toHex(logId) : '0'}/anchor`
  return (await readAnchor(storage.anchor(path), path)).value!
}

/** Entries of the owners of a group, and positions of a source that has as many partitions as the store. */
async function appendTurns(storage: Storage, { logId }: Child): Promise<void> {
  const log = storage.log(logPath(name, logId, toHex(logId)))
  const turn = { generation: 7, member: MEMBER, isReleased: false, isTrial: false }
  const at = (...each: readonly Position[]): Positions => new Map(each.entries())
  const aligned: Spans = new Map([
    // The same as before, but of a source that has as many partitions as the store.
    [
      'clicks',
      {
        isAligned: true,
        spans: [
          { ...range(0, 1), positions: at(5, 1, 3, 'x') },
          { ...range(2, 3), positions: at(6, 2, 3, 'x') },
        ],
      },
    ],
  ])
  const steps: readonly (Partial<Carried> & { readonly turn: Turn })[] = [
    { turn: { ...turn, isTrial: true } },
    { turn, spans: aligned },
    { turn: { ...turn, isReleased: true } },
  ]
  let n = (await log.list(1)).numbers.at(-1)!
  for (const [i, step] of steps.entries()) {
    const { bytes } = await log.read(n)
    const before = decodeEntry(bytes!, n, logId)
    n++
    // Taken by a fence, then written and released by commits.
    const isVersion = i > 0
    const version = isVersion && { version: n, versionTime: before.carried!.time }
    const entry = {
      ...before,
      n,
      kind: isVersion ? 'commit' : 'fence',
      writerId: MEMBER,
      write: i,
      parent: contentHash(bytes!),
      carried: { ...before.carried!, ...version, ...step },
      delta: undefined,
      manifest: undefined,
    } as const
    await log.append(n, encodeEntry(entry), n - 1)
  }
  await log.close()
}

/** A restore of a version of the root is about to name what only the root names. */
async function hold(ctx: ShardContext, child: Child, version: number): Promise<void> {
  const look = (await lookAt(ctx))!
  const { n } = look as Ended
  const source = { context: ctx, log: look.log, state: await stateAt(ctx, look.log, n) }
  const path = logPath(name, child.logId, toHex(child.logId))
  await holdFor(source, await stateAt(ctx, look.log, version), { path, n: 99 })
  await closeLog(ctx, look.log)
}

/** Of two sealed logs, the anchors that collections leave: segments are condemned, and then all entries. */
async function condemn(ctx: ShardContext, storage: Storage, time: number): Promise<void> {
  const root = await anchorOf(ctx, undefined)
  const { children } = decodeSealedEnd(root.sealed!, 'The anchor').seal
  const orphan = fromHex('ab'.repeat(16))
  await sealedAs(ctx, storage, children[0]!, (end) => ({
    keeps: end.n,
    collection: [{ time, trim: end.n - 1, ids: [orphan] }],
  }))
  await sealedAs(ctx, storage, children[1]!, (end) => ({
    keeps: end.n + 1,
    collection: [
      { time, trim: end.n - 1, ids: [orphan] },
      { time: time + 5, trim: end.n, ids: [] },
    ],
  }))
}

async function sealedAs(
  ctx: ShardContext,
  storage: Storage,
  { logId }: Child,
  change: (end: SealedEnd) => Partial<SealedEnd>,
): Promise<void> {
  const path = `${name}/${toHex(logId)}/anchor`
  const value = await anchorOf(ctx, logId)
  const end = decodeSealedEnd(value.sealed!, path)
  const changed = { ...end, ...change(end) }
  const trim = changed.keeps > end.n ? end.n : value.trim
  const { token } = await storage.anchor(path).read()
  await storage.anchor(path).swap(token, encodeAnchor({ ...value, trim, sealed: encodeSealedEnd(changed) }), trim)
}

/** A group of one member, and a target. */
async function writeControlStore(storage: Storage, logs: readonly Child[]): Promise<void> {
  const clock = movedClock({ now: 1_700_000_100_000 })
  const options = resolveOptions({ storage, name, mode: 'shared', partitions: 1, clock })
  const handle = await StoreHandle.open({ ...options, folder: 'group' })
  const store = new Store<string, unknown>(handle, handle.spec('', options.table))
  const member = toHex(MEMBER)
  const about = { zone: 'a', weight: 1, info: { url: 'http://a' }, isLeaving: false, assignVersion: 1, joinedAt: 5 }
  const none = {
    owner: undefined,
    next: undefined,
    standbys: [],
    fails: 0,
    isParked: false,
    movedAt: undefined,
    quietAt: undefined,
  }
  const [first, second] = logs.map(({ logId, ...range }): Shard => ({ ...none, ...range, id: toHex(logId) }))
  const state = {
    settings: { assignVersion: 1, partitions: 6, moves: 2, coolMs: 300_000, standbys: 1, warmEntries: 16 },
    members: byId([{ ...about, id: member }]),
    shards: byId([
      { ...first!, owner: member, movedAt: 6 },
      { ...second!, next: member, standbys: [member], fails: 1 },
    ]),
    target: { cuts: [1, 4] },
  }
  for (const [key, row] of changedRows(undefined, state).puts) store.put(key, row)
  store.put('base', 7)
  await store.commit()
  await store.close()
}
