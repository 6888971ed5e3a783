/** A log that was sealed is collected, when nothing needs it any more, and its anchor stays. */
import { expect, test } from 'vitest'
import * as undertaking from '../../../../src/engine/shards/undertaker.js'
import { logPath } from '../../../../src/manifest/names.js'
import { GRACE } from '../../../support/split-by-hand.js'
import { endOf, fill, namesOf, settle, splitStore } from '../../../support/split-store.js'

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
