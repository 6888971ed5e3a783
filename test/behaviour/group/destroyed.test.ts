/** A store of a group is destroyed: nothing of it stays, whoever is a member, or makes a shard at that moment. */
import { openStore, type Storage } from 'tidemark'
import { rescale } from 'tidemark/group'
import { memory } from 'tidemark/memory'
import { destroyStore } from 'tidemark/tools'
import { expect, test } from 'vitest'
import { intercept, type Call } from '../../../src/storage/intercept.js'
import { inWorld, LEASE, type World } from '../../support/groups.js'
import { until } from '../../support/until.js'

/** A storage whose anchors can be named, and what is left in it. */
function remembering(inner: Storage) {
  const anchors = new Set<string>()
  const storage = intercept(inner, (call, run) => {
    if (call.method === 'swap') anchors.add(call.path)
    return run(call.signal)
  })
  const left = async (): Promise<string[]> => {
    const there: string[] = []
    for (const name of anchors) if ((await inner.anchor(name).read()).bytes) there.push(name)
    const { items } = await inner.blobs.list('')
    return [...there, ...items.map(({ name }) => name), ...(await inner.logs('')).paths]
  }
  return { storage, left }
}

/** Removes what came to be behind a destruction. */
async function destroyAgain(storage: Storage): Promise<void> {
  await destroyStore({ storage, name: 's' }).catch((error: unknown) =>
    expect(error).toMatchObject({ code: 'NOT_FOUND' }),
  )
}

const inGroup = (run: (world: World, left: () => Promise<string[]>) => Promise<void>): Promise<unknown> =>
  inWorld((world) => {
    const { storage, left } = remembering(world.storage)
    Object.assign(world, { storage })
    return run(world, left)
  })

test('the leases of members that died go with it', async () => {
  await inGroup(async (world, left) => {
    await world.create(2)
    const members = ['a', 'b'].map((name) => world.member(name))
    await world.until(() => world.begun.length > 10)
    for (const member of members) world.sim.crash(member)
    expect((await left()).length).toBeGreaterThan(5)
    await destroyStore({ storage: world.sim.storage(world.storage), name: 's' })
    expect(await left()).toEqual([])
  })
})

test('members that live make nothing anew', async () => {
  await inGroup(async (world, left) => {
    await world.create(2)
    let isOver = false
    const members = ['a', 'b'].map((name) =>
      world.member(name, {}, async (group, me) => {
        await world.until(() => isOver, me)
        await group.leave().catch(() => undefined)
      }),
    )
    await world.until(() => world.begun.length > 10)
    const storage = world.sim.storage(world.storage)
    await destroyStore({ storage, name: 's' })
    await world.pass(6 * LEASE)
    await destroyAgain(storage)
    await world.pass(4 * LEASE)
    expect(await left()).toEqual([])
    isOver = true
    await Promise.all(members.map(({ done }) => done))
    // What they write when they leave is removed by another call.
    await destroyAgain(storage)
    expect(await left()).toEqual([])
  })
})

test.each<[string, (call: Call) => boolean]>([
  ['before its first entry', ({ target, method }) => target === 'log' && method !== 'close'],
  ['before its anchor', ({ target, method }) => target === 'anchor' && method === 'swap'],
])('a child that is being made, %s, leaves nothing that cannot be removed', async (_, isStopped) => {
  const { storage, left } = remembering(memory())
  const store = await openStore({ storage, name: 's', partitions: 4 })
  store.put('k', 1)
  await store.commit()
  await store.close()
  let go!: () => void
  const gate = new Promise<void>((resolve) => (go = resolve))
  let isThere = false
  const slow = intercept(storage, async (call, run) => {
    const isChild = /^s\/[0-9a-f]{32}\//.test(call.path)
    if (isChild && isStopped(call)) {
      isThere = true
      await gate
    }
    return run(call.signal)
  })
  const rescaling = rescale({ storage: slow, name: 's' }, { shards: 2 }).catch(() => undefined)
  await until(() => isThere)
  await destroyStore({ storage, name: 's' })
  go()
  await rescaling
  await destroyAgain(storage)
  expect(await left()).toEqual([])
})
