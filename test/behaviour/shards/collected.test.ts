/** Logs that were sealed and collected: followers and histories go on without them, as far as nothing keeps a version of theirs. */
import { systemClock, type Clock, type Storage } from 'tidemark'
import { describe, expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { contents, keyIn, open, PARTITIONS, PLACES, type Numbers } from '../../support/sharded.js'
import { collect } from '../../support/storages.js'

const ALL = Array.from({ length: PARTITIONS }, (_, i) => i)
/** That of the seals, which who splits a store from outside does not choose. */
const GRACE = 3_600_000
const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

class World {
  time = 1_000_000
  readonly clock: Clock = { ...systemClock, now: () => this.time, monotonic: () => this.time }

  constructor(readonly storage: Storage) {}

  open(options: Parameters<typeof open>[1] = {}): Promise<Numbers> {
    const retain = { versions: 2, hourly: 0, daily: 0 }
    return open(this.storage, { clock: this.clock, graceMs: GRACE, retain, ...options })
  }

  async put(partitions: readonly number[], value: number): Promise<number> {
    this.time += 10
    const store = await this.open({ shard: partitions[0] })
    for (const partition of partitions) store.put(keyIn(partition), value)
    const { version } = await store.commit({ label: `value ${value}` })
    await store.close()
    this.time += 10
    return version
  }

  async rescale(shards: number): Promise<void> {
    await rescale({ storage: this.storage, name: 's' }, { shards }, { clock: this.clock })
    this.time += 10
  }

  /** All shards write enough that nothing of before is kept, and collect until that is gone. */
  async letGo(firsts: readonly number[], beside: () => Promise<unknown> = () => Promise.resolve()): Promise<void> {
    for (let round = 0; round < 5; round++) {
      for (const shard of firsts) {
        const store = await this.open({ shard })
        store.put(keyIn(shard, 1), round)
        await store.commit()
        await store.checkpoint()
        await store.maintain()
        await store.close()
      }
      for (let i = 0; i < 3; i++) {
        this.time += GRACE / 2.5
        await beside()
      }
    }
  }

  async entriesOfRoot(): Promise<number> {
    const { paths } = await this.storage.logs('s/0/')
    const lists = await Promise.all(paths.map(async (path) => this.storage.log(path).list(1)))
    return lists.reduce((sum, { numbers }) => sum + numbers.length, 0)
  }
}

describe.each(PLACES)('on %s', (_, make) => {
  test('a follower that was away goes on to the children of a log of which nothing is left', async () => {
    const world = new World(make())
    await world.put(ALL, 1)
    const follower = await world.open({ mode: 'follower' })
    const half = await world.open({ mode: 'follower', shard: 6 })
    await world.put([3], 2)
    await world.rescale(2)
    await world.letGo([0, 4])
    expect(await world.entriesOfRoot()).toBe(0)
    await follower.refresh()
    const fresh = await world.open({ mode: 'follower' })
    expect(await contents(follower)).toEqual(await contents(fresh))
    expect(await follower.get(keyIn(3))).toBe(2)
    await half.refresh()
    expect(half.shards.map(({ first, last }) => [first, last])).toEqual([[4, 7]])
    expect(await half.get(keyIn(5))).toBe(1)
    for (const store of [follower, half, fresh]) await store.close()
  })

  test('what is gone has expired, and a tag of before the split still opens, and is put back', async () => {
    const world = new World(make())
    const one = await world.put(ALL, 1)
    const at = new Date(world.time)
    const whole = await world.open()
    await whole.tag('kept')
    await whole.close()
    const two = await world.put(ALL, 2)
    const between = new Date(world.time)
    await world.put(ALL, 3)
    await world.rescale(2)
    await world.rescale(4)
    await world.letGo([0, 2, 4, 6])
    expect(await world.entriesOfRoot()).toBe(0)
    const store = await world.open({ shard: 2 })
    const mine = [2, 3].map((i) => [keyIn(i), 1] as const).sort(([a], [b]) => (a < b ? -1 : 1))
    for (const when of [two, between, new Date(world.time - 5 * GRACE)]) {
      await expect(store.at(when)).rejects.toThrow(code('VERSION_EXPIRED'))
    }
    await expect(store.restore(two)).rejects.toThrow(code('VERSION_EXPIRED'))
    expect(at.getTime()).toBeLessThan(between.getTime())
    for (const when of ['kept', one]) expect(await contents(await store.at(when))).toEqual(mine)
    expect((await collect(store.versions())).every(({ shard }) => shard?.first === 2)).toBe(true)
    expect((await store.tags()).map(({ name, shard }) => [name, shard?.last])).toEqual([['kept', 7]])
    await store.restore('kept')
    await store.checkpoint()
    expect(await contents(store)).toEqual(mine)
    await store.untag('kept')
    await expect(store.at('kept')).rejects.toThrow(code('NOT_FOUND'))
    await store.close()
    await world.letGo([0, 2, 4, 6])
    const again = await world.open({ shard: 2, cacheBytes: 0 })
    expect(await again.get(keyIn(3))).toBe(1)
    await again.close()
  })

  test('a snapshot of before the split stays readable for as long as it is read', async () => {
    const world = new World(make())
    const store = await world.open()
    for (let i = 0; i < 30; i++) for (const partition of ALL) store.put(keyIn(partition, i), i)
    const { version } = await store.commit()
    await store.checkpoint()
    await store.close()
    await world.put(ALL, 99)
    await world.rescale(2)
    const reader = await world.open({ shard: 4, cacheBytes: 0, mode: 'follower' })
    const past = await reader.at(version)
    let reads = 0
    await world.letGo([0, 4], async () => {
      expect(await past.get(keyIn(5, reads % 30))).toBe(reads % 30)
      reads++
    })
    expect(reads).toBe(15)
    expect(await world.entriesOfRoot()).toBe(0)
    await past.close()
    await reader.close()
  })
})
