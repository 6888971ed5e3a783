/** A log that was sealed is collected, when nothing needs it any more, and its anchor stays. */
import { memory } from 'tidemark/memory'
import { expect, test } from 'vitest'
import { listPins, stateOfPin } from '../../../../src/engine/history/pins.js'
import { isThinned } from '../../../../src/engine/history/thinned.js'
import * as undertaking from '../../../../src/engine/shards/undertaker.js'
import { segmentsOf } from '../../../../src/engine/state.js'
import { intercept } from '../../../../src/storage/intercept.js'
import { platformOf } from '../../../../src/storage/platform.js'
import { logPath } from '../../../../src/manifest/names.js'
import { clockOf } from '../../../support/rule-stores.js'
import { GRACE, SplitByHand } from '../../../support/split-by-hand.js'
import { endOf, fill, missingOf, namesOf, settle, splitStore } from '../../../support/split-store.js'

test('it goes in three swaps: its versions expire, what is free is condemned, and a grace period later it is deleted', async () => {
  const { time, hand, root, children } = await splitStore()
  const path = logPath('s', root.logId)
  const first = await hand.undertake(undertaking, root)
  // Children name all of it, and have versions of their own: only entries are condemned.
  const end = (await endOf(hand, root))!
  expect(end.keeps).toBe(end.n + 1)
  expect(end.trim).toBe(end.n)
  expect(first.condemned.segments).toBe(0)
  expect(first.condemned.entries).toBeGreaterThan(3)
  expect((await hand.storage.log(path).list(1)).numbers.length).toBe(first.condemned.entries)
  time.ms += GRACE + 1
  const second = await hand.undertake(undertaking, root)
  expect(second.deleted.entries).toBe(first.condemned.entries)
  expect((await hand.storage.log(path).list(1)).numbers).toEqual([])
  expect(await namesOf(hand.storage, path)).toEqual(['seg', 'seg'])
  for (const child of children) {
    const store = await hand.open(child)
    for await (const [, value] of store.entries()) expect(value).toBe(3)
    await store.close()
  }
  for (const child of children) await settle(hand, child, time)
  const third = await hand.undertake(undertaking, root)
  expect(third.condemned.segments).toBe(2)
  expect((await hand.undertake(undertaking, root)).waiting).toBe(2)
  time.ms += GRACE + 1
  const last = await hand.undertake(undertaking, root)
  expect(last.deleted.segments).toBe(2)
  expect(last.isGone).toBe(true)
  expect(await namesOf(hand.storage, path)).toEqual([])
  expect((await endOf(hand, root))?.seal.children.length).toBe(2)
})

test('its versions stay until each of the logs that came of it has as many of its own as are kept', async () => {
  const { hand, root, children, versions, time } = await splitStore({ versions: 3 })
  await hand.undertake(undertaking, root)
  expect((await endOf(hand, root))?.keeps).toBe(0)
  time.ms += 5 * GRACE
  for (const [i, child] of children.entries()) {
    const store = await hand.open(child)
    await fill(store, 4, [])
    await fill(store, 5, [])
    await store.close()
    await hand.undertake(undertaking, root)
    const end = (await endOf(hand, root))!
    expect(end.keeps).toBe(i === 0 ? 0 : end.n + 1)
  }
  expect(versions.length).toBe(3)
})

test('nothing of it goes while a child is not there', async () => {
  const { hand, root, children, time } = await splitStore()
  for (const child of children) await settle(hand, child, time)
  const plan = await hand.seal([children[1]!], [3])
  await hand.create(plan, plan.children[0]!)
  expect(await hand.undertake(undertaking, root)).toMatchObject({ condemned: { entries: 0, segments: 0 } })
  expect((await endOf(hand, root))?.keeps).toBe(0)
  await hand.create(plan, plan.children[1]!)
  expect((await hand.undertake(undertaking, root)).condemned.segments).toBe(2)
})

test('a dry run says what it would do, and does nothing', async () => {
  const { hand, root } = await splitStore()
  const before = await hand.storage.blobs.list('s/')
  expect((await hand.undertake(undertaking, root, { dryRun: true })).condemned.entries).toBe(0)
  expect(await endOf(hand, root)).toBeUndefined()
  await hand.undertake(undertaking, root)
  const end = await endOf(hand, root)
  const told = await hand.undertake(undertaking, root, { dryRun: true })
  expect(told.condemned.entries).toBe(0)
  expect(await endOf(hand, root)).toEqual(end)
  expect((await hand.storage.blobs.list('s/')).items).toEqual(before.items)
})

test('versions that stay as the newest of their hour are pinned before they expire, until others have taken their place', async () => {
  const HOUR = 3_600_000
  const time = { ms: 0 }
  const clock = clockOf(time)
  const hand = new SplitByHand(memory({ clock }), clock, { versions: 1, hourly: 2, daily: 0 })
  const store = await hand.open()
  const versions: number[] = []
  for (let hour = 0; hour < 3; hour++) {
    versions.push(await fill(store, hour))
    time.ms += 60_000
    versions.push(await fill(store, 10 + hour))
    await store.checkpoint()
    time.ms += HOUR - 60_000
  }
  await store.close()
  const root = await hand.root()
  const children = await hand.split([root], [2])
  const path = logPath('s', root.logId)
  const pinned = async (): Promise<number[]> => (await listPins(hand.storage, path)).map(({ version }) => version)
  await hand.undertake(undertaking, root)
  // The children have made a version each in an hour of their own.
  expect((await endOf(hand, root))?.keeps).toBeGreaterThan(versions.at(-1)!)
  expect(await pinned()).toEqual([versions.at(-1)])
  const [pin] = await listPins(hand.storage, path)
  expect(isThinned(pin!)).toBe(true)
  const state = await stateOfPin(platformOf(hand.storage), pin!, path)
  expect(await missingOf(hand.storage, state)).toEqual([])
  for (const part of children) {
    time.ms += HOUR
    const child = await hand.open(part)
    await fill(child, 20, [])
    await child.close()
  }
  await hand.undertake(undertaking, root)
  expect(await pinned()).toEqual([])
})

test('who reads all that is left itself reads no other log for it', async () => {
  const { hand, root, children, time } = await splitStore()
  await hand.undertake(undertaking, root)
  time.ms += GRACE + 1
  await hand.undertake(undertaking, root)
  const read: string[] = []
  const storage = intercept(hand.storage, async (call, run) => {
    if (call.target === 'log' && call.method.startsWith('read')) read.push(call.path)
    return run(call.signal)
  })
  const mine = new Set(segmentsOf(await hand.state(children[0]!)).map(({ name }) => name))
  const told = await hand.undertake(undertaking, root, { storage, mine })
  expect(told.condemned).toEqual({ entries: 0, segments: 0 })
  expect(read).toEqual([])
  await hand.undertake(undertaking, root, { storage })
  expect(read.length).toBeGreaterThan(0)
})
