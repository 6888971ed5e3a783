/** Rules S6 to S9 of docs/protocol.md: the collection of logs that were sealed. */
import type { Storage } from 'tidemark'
import { expect } from 'vitest'
import { closeLog, openAnchor, openLog } from '../../src/engine/context.js'
import { closeAnchor } from '../../src/engine/shards/closing.js'
import { bareEntry } from '../../src/engine/open/handover.js'
import type { OpenLog, ShardState } from '../../src/engine/state.js'
import { encodeEntry } from '../../src/log/encode.js'
import { encodeCollection } from '../../src/log/collection.js'
import { anchorAfter, raiseAnchor } from '../../src/log/raise.js'
import { logPath } from '../../src/manifest/names.js'
import { intercept, type Call } from '../../src/storage/intercept.js'
import { byEntry } from '../support/by-entry.js'
import { edit, rule } from '../support/mutated.js'
import { code } from '../support/rule-stores.js'
import type * as Sources from '../support/sources.js'
import { GRACE, SplitByHand, type Part } from '../support/split-by-hand.js'
import { endOf, fill, keysOf, missingOf, settle, splitStore, type SplitStore } from '../support/split-store.js'

const UNDERTAKER = 'src/engine/shards/undertaker.ts'
const OFFSPRING = 'src/engine/shards/offspring.ts'
const NEEDS = 'src/engine/shards/needs.ts'
const HOLDS = 'src/engine/shards/holds.ts'

/** Undertakes for the root until nothing more is to be done. */
async function collectRoot(sources: typeof Sources, { hand, root, time }: SplitStore): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await hand.undertake(sources, root)
    time.ms += GRACE + 1
  }
}

async function settleAll({ hand, time }: SplitStore, parts: readonly Part[]): Promise<void> {
  for (const part of parts) await settle(hand, part, time)
}

/** Acts once, before a call of this kind is served. */
function before(storage: Storage, isIt: (call: Call) => boolean, act: () => Promise<void> | void): Storage {
  let isNext = true
  return intercept(storage, async (call, run) => {
    if (isNext && isIt(call)) {
      isNext = false
      await act()
    }
    return run(call.signal)
  })
}

/** The log of the root as who reads its versions has it. */
async function source({ hand, root, sealed }: SplitStore): Promise<OpenLog> {
  const context = hand.context(root)
  return { context, log: openLog(context, openAnchor(context), root.logId), state: sealed }
}

/** Commits to a part. */
async function commitTo(hand: SplitByHand, part: Part): Promise<number> {
  const store = await hand.open(part)
  const version = await fill(store, 7, [])
  await store.close()
  return version
}

rule(
  'S6',
  'the number of a seal is not acknowledged to anybody once it was removed',
  [
    edit(UNDERTAKER, 'keeps: end.n + 1 }, end.n)', 'keeps: end.n + 1 })'),
    edit(
      UNDERTAKER,
      'const batch = { time, trim: value.trim, ids: plan }',
      'const batch = { time, trim: end.n, ids: plan }',
    ),
  ],
  async (sources) => {
    const store = await splitStore()
    await settleAll(store, store.children)
    await collectRoot(sources, store)
    store.owner.put('k1', 4)
    const told = await store.owner.commit().then(
      ({ version }) => version,
      () => 'refused',
    )
    expect(told).toBe('refused')
  },
)

rule(
  'S6',
  'an anchor that is raised later still says that its log was sealed',
  [edit('src/log/raise.ts', 'sealed: a.sealed, ', 'sealed: undefined, ')],
  async (sources) => {
    const store = await splitStore()
    await store.hand.undertake(sources, store.root)
    const anchor = store.hand.storage.anchor('s/0/anchor')
    const wanted = { logId: store.root.logId, trim: 0, manifestAt: 90, covers: 80, time: 0 }
    await sources.raiseAnchor(anchor, 'it', wanted)
    expect((await endOf(store.hand, store.root))?.n).toBe(store.sealed.head)
  },
)

rule(
  'S6',
  'the anchor of a log stays when all else of it is gone',
  [
    edit(
      UNDERTAKER,
      'if (done.isGone) return false',
      'if (done.isGone) await this.#log.anchor.remove()\n      if (done.isGone) return false',
    ),
  ],
  async (sources) => {
    const store = await splitStore()
    await settleAll(store, store.children)
    await collectRoot(sources, store)
    await store.hand.undertake(sources, store.root)
    expect((await store.hand.storage.blobs.list('s/0/')).items).toEqual([])
    expect((await endOf(store.hand, store.root))?.n).toBe(store.sealed.head)
  },
)

rule(
  'S7',
  'a child that is not there yet may need all',
  [edit(NEEDS, 'if (found === undefined) return undefined', 'if (found === undefined) return { names, living }')],
  async (sources) => {
    const store = await splitStore({ versions: 1 }, { creates: false })
    const { context, log, state } = await source(store)
    const range = { first: 0, last: 3 }
    await closeAnchor({ context, log, n: state.head, seal: state.seal!, range, sealed: undefined, state })
    await collectRoot(sources, store)
    expect(await missingOf(store.hand.storage, store.sealed)).toEqual([])
  },
)

rule(
  'S7',
  'all that came of a log is asked, not its children alone',
  [edit(NEEDS, 'if (kept.seal) next =', 'if (kept.seal) continue\n      if (kept.seal) next =')],
  async (sources) => {
    const store = await splitStore()
    const { hand, root, children, time } = store
    await settle(hand, children[0]!, time)
    const grandchildren = await hand.split([children[1]!], [3])
    for (let i = 0; i < 2; i++) {
      await hand.undertake(sources, children[1]!)
      time.ms += GRACE + 1
    }
    expect((await hand.storage.log(logPath('s', children[1]!.logId, children[1]!.folder)).list(1)).numbers).toEqual([])
    await collectRoot(sources, store)
    expect((await hand.storage.log(logPath('s', root.logId)).list(1)).numbers).toEqual([])
    for (const part of grandchildren) expect(await missingOf(hand.storage, await hand.state(part))).toEqual([])
  },
)

rule(
  'S7',
  'what old versions of a child name stays',
  [
    edit(
      OFFSPRING,
      'for (const name of namesIn(applied)) if',
      'if (applied.manifest) names.clear()\n      for (const name of namesIn(applied)) if',
    ),
  ],
  async (sources) => {
    const store = await splitStore({ versions: 5 })
    const { hand, children } = store
    const firsts = await Promise.all(children.map((part) => hand.state(part)))
    await settleAll(store, children)
    await collectRoot(sources, store)
    for (const state of firsts) expect(await missingOf(hand.storage, state)).toEqual([])
  },
)

rule(
  'S7',
  'what a tag of a child names stays',
  [edit(OFFSPRING, 'for (const pin of new Set([...early, ...late]))', 'for (const pin of [] as typeof late)')],
  async (sources) => {
    const store = await splitStore()
    const { hand, children } = store
    const [part] = children
    const state = await hand.state(part!)
    const owner = await hand.open(part)
    await owner.tag('old')
    await owner.close()
    await settleAll(store, children)
    await collectRoot(sources, store)
    expect(await missingOf(hand.storage, state)).toEqual([])
  },
)

/** Where a create does not look at the trim number, and each entry is read by itself. */
function asObjects(storage: Storage): Storage {
  return {
    ...storage,
    capabilities: { ...storage.capabilities, trim: 'writer' },
    log: (path) => byEntry(storage.log(path)),
    anchor: (path) => {
      const anchor = storage.anchor(path)
      return { ...anchor, swap: (token, bytes, _, options) => anchor.swap(token, bytes, 0, options) }
    },
  }
}

rule(
  'S7',
  'a log that was trimmed while it was read may need all',
  [
    edit(OFFSPRING, '(after?.trim ?? first - 1) !== trim', 'false'),
    edit(OFFSPRING, 'kept.head < (after?.manifestAt ?? first)', 'false'),
  ],
  async (sources) => {
    const store = await splitStore({ versions: 1 }, { cuts: [1], wrap: asObjects })
    const { hand, root, children, time } = store
    const [small, large] = children as [Part, Part]
    await hand.undertake(sources, root)
    await settle(hand, small, time)
    const path = logPath('s', large.logId, large.folder)
    const n = (await hand.storage.log(path).list(1)).numbers[0]!
    const isIt = (call: Call): boolean => call.target === 'log' && call.path === path && call.n === n
    const storage = before(hand.storage, isIt, async () => {
      // Its life goes on, until that entry is gone; and a fence that was under way for long lands there.
      const owner = await hand.open(large)
      const [key] = await keysOf(owner)
      for (let i = 0; i < 4; i++) {
        for (const value of [i, i, i, i]) await fill(owner, value, [key!])
        await owner.checkpoint()
      }
      await owner.close()
      const { resetAt, carried } = await hand.state(large)
      const encode = (at: number, to: number): Uint8Array => encodeCollection([{ time: at, trim: to, ids: [] }])
      const collect = { resetAt, keeps: carried.version, trim: carried.covers, ids: [], encode }
      const now = await hand.append(large, await hand.state(large), { kind: 'collect', collect })
      const ctx = hand.context(large)
      const log = openLog(ctx, openAnchor(ctx), large.logId)
      await raiseAnchor(log.anchor, 'it', anchorAfter(large.logId, now.carried))
      await log.log.remove((await log.log.list(1)).numbers.filter((m) => m <= carried.covers))
      const outcome = await log.log.append(n, encodeEntry(bareEntry(log, n, 'fence')), 1)
      expect(outcome.outcome).toBe('committed')
      await closeLog(ctx, log)
    })
    await hand.undertake(sources, root, { storage })
    time.ms += GRACE + 1
    await hand.undertake(sources, root)
    expect(await missingOf(hand.storage, await hand.state(large))).toEqual([])
  },
)

rule(
  'S8',
  'versions expire by one swap, and are condemned by a later one',
  [
    edit(
      UNDERTAKER,
      'if (!options.dryRun) return (await this.#thin',
      'if (leaving.length > 0) return (await this.#thin',
    ),
    edit(UNDERTAKER, ' || kept?.names.has(name) === true', ''),
    edit(
      UNDERTAKER,
      'return swapSealed(log, sealed, { ...end, collection: [...end.collection, batch] })',
      'return swapSealed(log, sealed, { ...end, keeps: end.n + 1, collection: [...end.collection, batch] }, end.n)',
    ),
  ],
  async (sources) => {
    const store = await splitStore({ versions: 2 })
    const { hand, root, children, time } = store
    // Its anchor says that it was sealed.
    await hand.undertake(sources, root)
    await settleAll(store, children)
    let seen: ShardState | undefined
    const isSwap = (call: Call): boolean => call.method === 'swap'
    const storage = before(hand.storage, isSwap, async () => {
      time.ms += 0.9 * GRACE
      expect((await endOf(hand, root))?.keeps).toBe(0)
      seen = await hand.state(root)
    })
    await hand.undertake(sources, root, { storage })
    time.ms += 0.1 * GRACE + 1
    await hand.undertake(sources, root)
    // Somebody began to read it a tenth of a grace period ago.
    expect(await missingOf(hand.storage, seen!)).toEqual([])
  },
)

rule(
  'S8',
  'what is condemned is there for a grace period',
  [edit(UNDERTAKER, 'time + grace <= now', 'time <= now')],
  async (sources) => {
    const store = await splitStore()
    const { hand, root, children } = store
    await settleAll(store, children)
    const seen = await hand.state(root)
    await hand.undertake(sources, root)
    await hand.undertake(sources, root)
    expect((await endOf(hand, root))?.keeps).toBe(store.sealed.head + 1)
    expect(await missingOf(hand.storage, seen)).toEqual([])
  },
)

rule(
  'S9',
  'who pins a version of a sealed log looks at its anchor afterwards',
  [edit('src/engine/history/pin-version.ts', 'return keeps <= version', 'return true')],
  async (sources) => {
    const store = await splitStore()
    const { hand, children } = store
    await settleAll(store, children)
    const from = await source(store)
    const isPut = (call: Call): boolean => call.method === 'put'
    const storage = before(hand.storage, isPut, () => collectRoot(sources, store))
    const context = { ...from.context, storage }
    const target = { path: logPath('s', children[0]!.logId, children[0]!.folder), n: 99 }
    await expect(sources.holdFor({ ...from, context }, store.sealed, target)).rejects.toThrow(code('VERSION_EXPIRED'))
    expect((await missingOf(hand.storage, store.sealed)).length).toBeGreaterThan(0)
  },
)

/** A restore of the last version of the root is on its way to a child, and held; all others have let go of it. */
async function restoring(sources: typeof Sources) {
  const store = await splitStore({ versions: 2 })
  const { hand, root, children } = store
  await hand.undertake(sources, root)
  const part = children[0]!
  const n = (await hand.state(part)).head + 20
  const hold = await sources.holdFor(await source(store), store.sealed, {
    path: logPath('s', part.logId, part.folder),
    n,
  })
  await settleAll(store, children)
  return { ...store, part, n, hold }
}

rule(
  'S9',
  'what a restore across a seal is about to name stays',
  [
    edit(
      HOLDS,
      '(await blobs.put(blob, encodePin(pinOf(state, log.path, manifest, undefined, kept)))).time',
      'undefined && encodePin(pinOf(state, log.path, manifest, undefined, kept))',
    ),
  ],
  async (sources) => {
    const store = await restoring(sources)
    await collectRoot(sources, store)
    expect((await endOf(store.hand, store.root))?.keeps).toBe(store.sealed.head + 1)
    expect(await missingOf(store.hand.storage, store.sealed)).toEqual([])
  },
)

rule(
  'S9',
  'a hold stays until its number is taken, and no longer',
  [edit('src/engine/shards/taken.ts', 'if (target && (await isTaken(ctx, target)))', 'if (target)')],
  async (sources) => {
    const store = await restoring(sources)
    const { hand, time, part, n } = store
    time.ms += 20 * GRACE
    await collectRoot(sources, store)
    expect(await missingOf(hand.storage, store.sealed)).toEqual([])
    while ((await commitTo(hand, part)) < n);
    await collectRoot(sources, store)
    expect((await missingOf(hand.storage, store.sealed)).length).toBeGreaterThan(0)
  },
)

rule(
  'S9',
  'a hold stays when nothing is known of its entry',
  [edit(HOLDS, "if (outcome !== 'unknown') await", 'await')],
  async (sources) => {
    const store = await restoring(sources)
    await store.hold.release('unknown')
    await collectRoot(sources, store)
    expect(await missingOf(store.hand.storage, store.sealed)).toEqual([])
    await store.hold.release('lost')
    await collectRoot(sources, store)
    expect((await missingOf(store.hand.storage, store.sealed)).length).toBeGreaterThan(0)
  },
)

rule(
  'S9',
  'holds are listed before logs are read',
  [
    edit(
      UNDERTAKER,
      'const { segments, pins, held } = listing',
      'const early = await needsOf(ctx, segmentsPrefix(log.path), over, this.#successors)\n    const { segments, pins, held } = await listBlobs(ctx, log)',
    ),
    edit(
      UNDERTAKER,
      'const needs = await needsOf(ctx, segmentsPrefix(log.path), over, this.#successors)',
      'const needs = early',
    ),
  ],
  async (sources) => {
    const store = await restoring(sources)
    const { hand, root, part, time, sealed, hold } = store
    // Its versions expire.
    await hand.undertake(sources, root)
    expect((await endOf(hand, root))?.keeps).toBe(sealed.head + 1)
    // The last thing that is read of the other child: the first one was read before.
    const other = store.children[1]!
    const isIt = (call: Call): boolean => call.target === 'anchor' && call.path === `s/${other.folder}/anchor`
    const storage = before(hand.storage, isIt, async () => {
      const now = await hand.state(part)
      const origin = { log: logPath('s', root.logId), version: sealed.carried.version, partitions: [] }
      await hand.append(part, now, { kind: 'reset', reset: { manifest: sealed.manifest, origin } })
      await hold.release('committed')
    })
    await hand.undertake(sources, root, { storage })
    time.ms += GRACE + 1
    await hand.undertake(sources, root)
    expect(await missingOf(hand.storage, await hand.state(part))).toEqual([])
  },
)
