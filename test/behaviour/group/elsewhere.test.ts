/** Reads and writes of partitions that somebody else owns: by a follower, by asking the owner, and in shared mode. */
import { openStore, type OpenOptions, type Store } from 'tidemark'
import { rescale, type Group } from 'tidemark/group'
import { expect, test } from 'vitest'
import { inWorld, type World } from '../../support/groups.js'

const openIn = (world: World, more: Partial<OpenOptions<number>>): Promise<Store<string, number>> => {
  const { clock } = world.sim
  const storage = world.sim.storage(world.storage)
  return openStore<string, number>({ storage, name: 's', clock, logger: false, ...more })
}

/** A store of two shards, 0-1 and 2-3. */
async function begin(world: World, mode: 'exclusive' | 'shared'): Promise<void> {
  const store = await openIn(world, { partitions: 4, mode })
  await store.close()
  const { clock } = world.sim
  await rescale({ storage: world.sim.storage(world.storage), name: 's' }, { shards: 2 }, { clock })
}

/** Two members that count, and are there for as long as `body` takes. */
async function withMembers(world: World, body: (groups: readonly Group[]) => Promise<void>): Promise<void> {
  const groups: Group[] = []
  let isOver = false
  const members = ['a', 'b'].map((name) => {
    const info = { address: `http://${name}.local` }
    return world.member(name, { info }, async (group, me) => {
      groups.push(group)
      await world.until(() => isOver, me)
      await group.leave()
    })
  })
  const owned = (): number[] => groups.map((group) => group.status().owned.length)
  await world.until(() => owned().join() === '1,1')
  await body(groups)
  isOver = true
  await Promise.all(members.map(({ done }) => done))
}

test('who does not own a partition follows it, and sees how far behind it is', async () => {
  await inWorld(async (world) => {
    await begin(world, 'exclusive')
    world.events = 1000
    world.workMs = 200
    await withMembers(world, async (groups) => {
      const [owner] = groups.filter((group) => group.status().owned.some(({ first }) => first === 2))
      const reader = await openIn(world, { mode: 'follower', shard: 3 })
      expect(reader.shards.map(({ first, last }) => [first, last])).toEqual([[2, 3]])
      const newest = (): number => owner!.status().owned[0]!.version
      const [before, then] = [newest(), (await reader.partition(3).get('n')) ?? 0]
      await world.until(() => newest() >= before + 5)
      // It stays where it was until it is told to look, and its number says how much it lacks.
      const behind = newest() - reader.version
      expect(behind).toBeGreaterThanOrEqual(5)
      await reader.refresh()
      expect(newest() - reader.version).toBeLessThan(behind)
      expect(await reader.partition(3).get('n')).toBeGreaterThan(then)
      // Of partitions that it does not follow it shows nothing rather than something old.
      await expect(reader.partition(0).get('n')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await reader.close()
    })
  })
})

test('a member finds the owner of a key, and what the owner published', async () => {
  await inWorld(async (world) => {
    await begin(world, 'exclusive')
    await withMembers(world, async (groups) => {
      const names = ['ada', 'bob', 'cid', 'dan', 'eve', 'fay', 'gus']
      const found = names.map((key) => groups.map((group) => group.ownerOf(key)!))
      for (const [here, there] of found) {
        // Both say the same, and it is the one that owns the shard.
        expect(here).toEqual(there)
        const owner = groups.find((group) => group.status().member === here!.member)!
        expect(owner.status().owned.map(({ id }) => id)).toContain(here!.shard.id)
      }
      const addresses = new Set(found.map(([owner]) => (owner!.info as { address: string }).address))
      expect([...addresses].sort()).toEqual(['http://a.local', 'http://b.local'])
      const { member } = groups[0]!.status()
      expect(groups[1]!.members().find((each) => each.member === member)?.info).toEqual(
        groups[0]!.members().find((each) => each.member === member)?.info,
      )
    })
  })
})

test('a shard that a member owns is written by nobody else, whatever the mode', async () => {
  await inWorld(async (world) => {
    await begin(world, 'exclusive')
    world.events = 60
    await withMembers(world, async () => {
      await expect(openIn(world, { mode: 'shared', shard: 0 })).rejects.toMatchObject({ code: 'CONFLICT' })
      await expect(openIn(world, { mode: 'exclusive', shard: 0 })).rejects.toMatchObject({ code: 'CONFLICT' })
      const reader = await openIn(world, { mode: 'follower', shard: 0 })
      expect(() => reader.put('n', 1)).toThrow(expect.objectContaining({ code: 'READ_ONLY' }))
      await reader.close()
      await world.until(() => world.isCounted())
    })
    // Nothing was begun twice, so nobody has lost anything to those that tried.
    expect(world.begun).toHaveLength(60 * world.partitions)
  })
})

test('in shared mode anybody writes a shard, by transactions that see those of others', async () => {
  await inWorld(async (world) => {
    await begin(world, 'shared')
    const stores = await Promise.all([0, 0, 3].map((shard) => openIn(world, { shard, mode: 'shared' })))
    const keys = await Promise.all(stores.map((store) => keyIn(store)))
    await Promise.all(
      stores.map(async (store, i) => {
        for (let n = 0; n < 5; n++) await store.update(keys[i]!, (count = 0) => count + 1)
      }),
    )
    await expect(openIn(world, { shard: 0, mode: 'exclusive' })).rejects.toMatchObject({ code: 'CONFLICT' })
    const reader = await openIn(world, { mode: 'follower' })
    expect(await reader.get(keys[0]!)).toBe(10)
    expect(await reader.get(keys[2]!)).toBe(5)
    for (const store of [...stores, reader]) await store.close()
  })
})

/** A key of the shard that the store was opened for. */
async function keyIn(store: Store<string, number>): Promise<string> {
  for (let i = 0; ; i++) {
    const isOwn = await store.get(`key-${i}`).then(
      () => true,
      () => false,
    )
    if (isOwn) return `key-${i}`
  }
}
