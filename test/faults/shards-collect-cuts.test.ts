/** Collection of a sealed log that is cut at every storage call: what is needed stays, and what is not goes all the same. */
import { isTidemarkError, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { cuts, WAYS, worldOver } from 'tidemark/testing'
import { beforeAll, expect, test } from 'vitest'
import { closeLog, openAnchor, openLog } from '../../src/engine/context.js'
import { stateAt } from '../../src/engine/history/past.js'
import { putPin } from '../../src/engine/history/pin-version.js'
import { stateOfPin, type StoredPin } from '../../src/engine/history/pins.js'
import { holdFor } from '../../src/engine/shards/holds.js'
import { findSuccessors } from '../../src/engine/shards/needs.js'
import { Undertaker } from '../../src/engine/shards/undertaker.js'
import { decodeAnchor } from '../../src/log/anchor.js'
import { logPath } from '../../src/manifest/names.js'
import { loadParts } from '../../src/part.js'
import { thinned } from '../support/extent.js'
import { GRACE } from '../support/split-by-hand.js'
import { endOf, missingOf, settle, splitStore, type SplitStore } from '../support/split-store.js'

const ALL = { minDeletes: 1, maxDeletes: Infinity, inTime: () => true, dryRun: false }
const SHARDS = (store: SplitStore): (string | undefined)[] => ['0', ...store.children.map(({ folder }) => folder)]

let store: SplitStore
let tag: StoredPin
let began: number

beforeAll(async () => {
  await loadParts()
  store = await splitStore({ versions: 2 })
  const { hand, root, children, versions, sealed, time } = store
  const context = hand.context(root)
  const log = openLog(context, openAnchor(context), root.logId)
  const source = { context, log, state: sealed }
  const state = await stateAt(context, log, versions[0]!)
  tag = await putPin(source, { kind: 'tag', name: 'kept', ttlMs: 0, state, from: undefined })
  // A restore that came about, whose hold nobody has taken away.
  const [child] = children
  await holdFor(source, sealed, { path: logPath('s', child!.logId, child!.folder), n: (await hand.state(child!)).head })
  for (const part of children) await settle(hand, part, time)
  began = time.ms
})

/** The same objects in another memory. */
async function copy(): Promise<Storage> {
  const { hand } = store
  const from = hand.storage
  const to = memory({ clock: hand.clock })
  for (const { name } of (await from.blobs.list('')).items)
    await to.blobs.put(name, (await from.blobs.get(name)).bytes!)
  for (const path of (await from.logs('')).paths) {
    for (const n of (await from.log(path).list(1)).numbers) {
      await to.log(path).append(n, (await from.log(path).read(n)).bytes!, 1)
    }
  }
  for (const shard of SHARDS(store)) {
    const { bytes } = await from.anchor(`s/${shard}/anchor`).read()
    await to.anchor(`s/${shard}/anchor`).swap(undefined, bytes!, decodeAnchor(bytes!, 'it').trim)
  }
  return to
}

/** Goes on for some grace periods, whatever fails. */
async function undertake(storage: Storage): Promise<void> {
  const { hand, root, time } = store
  for (let round = 0; round < 4; round++) {
    const ctx = hand.context(root, {}, storage)
    const log = openLog(ctx, openAnchor(ctx), root.logId)
    const signal = new AbortController().signal
    await new Undertaker(ctx, log, root, findSuccessors(ctx), signal).run(ALL).catch((error: unknown) => {
      if (!isTidemarkError(error)) throw error
    })
    await closeLog(ctx, log)
    time.ms += GRACE + 1
  }
}

test('what is needed stays, and what is not goes all the same', async () => {
  const { hand, root, children, time } = store
  const path = logPath('s', root.logId)
  let next: Storage | undefined
  const makeWorld = worldOver(() => next!)
  const { points, missed } = await cuts({
    async makeWorld(decide) {
      next = await copy()
      time.ms = began
      return makeWorld(decide)
    },
    scenario: undertake,
    async verify(storage) {
      const held = await stateOfPin(
        openLog(hand.context(root), openAnchor(hand.context(root)), root.logId).platform,
        tag,
        path,
      )
      expect(await missingOf(storage, held)).toEqual([])
      await undertake(storage)
      expect(await missingOf(storage, held)).toEqual([])
      for (const part of children) expect(await missingOf(storage, await hand.state(part))).toEqual([])
      const left = (await storage.blobs.list(`${path}/`)).items.map(({ name }) => name)
      expect(left.toSorted()).toEqual([tag.blob, ...held.manifest.runs.flat().map(({ name }) => name)].toSorted())
      expect((await storage.log(path).list(1)).numbers).toEqual([])
      expect((await endOf({ storage }, root))?.keeps).toBe(store.sealed.head + 1)
    },
    ways: WAYS,
    only: thinned(WAYS, 2),
  })
  console.log(`${points} cut points, ${missed} missed`)
  expect(points).toBeGreaterThan(30)
})
