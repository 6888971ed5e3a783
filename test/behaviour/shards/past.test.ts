/** The past of shards: versions from before a split or a merge are opened, listed, tagged and compared as far as they are kept. */
import { systemClock, type Clock, type Storage, type When } from 'tidemark'
import { memory } from 'tidemark/memory'
import { diff } from 'tidemark/tools'
import { describe, expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { contents, keyIn, open, PARTITIONS, PLACES, write, type Numbers } from '../../support/sharded.js'
import { collect } from '../../support/storages.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

/** A store whose clock moves on by a second with each version. */
class Past {
  time = 1_000_000
  readonly clock: Clock = { ...systemClock, now: () => this.time, monotonic: () => this.time }

  constructor(readonly storage: Storage) {}

  open(options: Parameters<typeof open>[1] = {}): Promise<Numbers> {
    return open(this.storage, { clock: this.clock, ...options })
  }

  async rescale(scale: Parameters<typeof rescale>[1]): Promise<void> {
    this.time += 1000
    await rescale({ storage: this.storage, name: 's' }, scale, { clock: this.clock })
    this.time += 1000
  }

  /** Puts a value in each of these partitions, in the shard of the first; returns version and moment. */
  async put(partitions: readonly number[], value: number): Promise<{ version: number; at: Date }> {
    this.time += 1000
    const version = await write(
      this.storage,
      partitions[0]!,
      (store) => {
        for (const partition of partitions) store.put(keyIn(partition), value)
      },
      { label: `value ${value}`, offsets: { clicks: value }, force: true },
      { clock: this.clock },
    )
    const at = new Date(this.time)
    this.time += 1000
    return { version, at }
  }
}

const ALL = Array.from({ length: PARTITIONS }, (_, i) => i)

/** What partitions hold: a value each. */
function held(values: readonly (readonly [partitions: readonly number[], value: number])[]): [string, number][] {
  const all = new Map(values.flatMap(([partitions, value]) => partitions.map((i) => [keyIn(i), value] as const)))
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1))
}

async function then(store: Numbers, when: When): Promise<[string, number][]> {
  const past = await store.at(when)
  try {
    return await contents(past)
  } finally {
    await past.close()
  }
}

describe.each(PLACES)('on %s', (_, make) => {
  test('versions from before a split are opened by number, date and tag, for the partitions of the shard', async () => {
    const past = new Past(make())
    const one = await past.put(ALL, 1)
    const two = await past.put(ALL, 2)
    const before = await past.open()
    await before.tag('first', { at: one.version })
    await before.close()
    await past.rescale({ shards: 2 })
    await past.put([4, 5], 3)
    await past.rescale({ shards: 4 })
    const four = await past.put([4], 4)
    const store = await past.open({ shard: 5 })
    const own = [4, 5]
    for (const [when, value] of [
      [one.version, 1],
      [two.version, 2],
      [one.at, 1],
      [two.at, 2],
      ['first', 1],
    ] as const) {
      expect(await then(store, when)).toEqual(held([[own, value]]))
    }
    expect(await then(store, four.version)).toEqual(
      held([
        [[4], 4],
        [[5], 3],
      ]),
    )
    const snapshot = await store.at(one.version)
    expect([snapshot.version, snapshot.offsets]).toEqual([one.version, { clicks: 1 }])
    expect(() => snapshot.getSync(keyIn(1))).toThrow('is not in the shard')
    await expect(store.at(new Date(1))).rejects.toThrow(code('NOT_FOUND'))
    await expect(store.at('nothing')).rejects.toThrow(code('NOT_FOUND'))
    await expect(store.at(store.version + 10)).rejects.toThrow(code('NOT_FOUND'))
    await store.close()
  })

  test('behind a merge a number is no moment, and a date shows all shards side by side', async () => {
    const past = new Past(make())
    await past.put(ALL, 1)
    await past.rescale({ shards: 2 })
    const left = await past.put([0, 1, 2, 3], 2)
    const right = await past.put([4, 5, 6, 7], 3)
    await past.rescale({ shards: 1 })
    await past.put(ALL, 4)
    const store = await past.open()
    await expect(store.at(left.version)).rejects.toThrow(code('INVALID_ARGUMENT'))
    expect(await then(store, left.at)).toEqual(
      held([
        [[0, 1, 2, 3], 2],
        [[4, 5, 6, 7], 1],
      ]),
    )
    expect(await then(store, right.at)).toEqual(
      held([
        [[0, 1, 2, 3], 2],
        [[4, 5, 6, 7], 3],
      ]),
    )
    expect(await then(store, new Date(past.time))).toEqual(held([[ALL, 4]]))
    await store.close()
  })

  test('a follower of all shards shows them side by side at a moment, and by a tag that all have', async () => {
    const past = new Past(make())
    const one = await past.put(ALL, 1)
    await past.rescale({ shards: 4 })
    const two = await past.put([2, 3], 2)
    await past.put([6], 3)
    const follower = await past.open({ mode: 'follower' })
    expect(await then(follower, one.at)).toEqual(held([[ALL, 1]]))
    expect(await then(follower, two.at)).toEqual(
      held([
        [ALL, 1],
        [[2, 3], 2],
      ]),
    )
    await expect(follower.at(two.version)).rejects.toThrow(code('INVALID_ARGUMENT'))
    for (const shard of [0, 2, 4]) {
      const store = await past.open({ shard })
      await store.tag('now')
      await store.close()
    }
    await expect(follower.at('now')).rejects.toThrow(code('NOT_FOUND'))
    const last = await past.open({ shard: 6 })
    await last.tag('now')
    await last.close()
    await past.put([0], 9)
    expect(await then(follower, 'now')).toEqual(
      held([
        [ALL, 1],
        [[2, 3], 2],
        [[6], 3],
      ]),
    )
    await follower.close()
  })

  test('versions() goes on into the logs before, by time, with the partitions of each', async () => {
    const past = new Past(make())
    const one = await past.put(ALL, 1)
    await past.rescale({ shards: 2 })
    const two = await past.put([0], 2)
    const three = await past.put([7], 3)
    await past.rescale({ shards: 1 })
    const four = await past.put(ALL, 4)
    const store = await past.open()
    const infos = await collect(store.versions())
    const labelled = infos.filter(({ label }) => label !== undefined)
    expect(labelled.map(({ version, shard, label }) => ({ version, shard, label }))).toEqual([
      { version: one.version, shard: { first: 0, last: 7 }, label: 'value 1' },
      { version: two.version, shard: { first: 0, last: 3 }, label: 'value 2' },
      { version: three.version, shard: { first: 4, last: 7 }, label: 'value 3' },
      { version: four.version, shard: { first: 0, last: 7 }, label: 'value 4' },
    ])
    expect(infos.filter(({ label }) => label === undefined).map(({ kind }) => kind)).toEqual([
      'reset',
      'reset',
      'reset',
    ])
    expect(await collect(store.versions({ reverse: true }))).toEqual(infos.toReversed())
    expect(await collect(store.versions({ limit: 3 }))).toEqual(infos.slice(0, 3))
    expect(await collect(store.versions({ reverse: true, limit: 2 }))).toEqual(infos.toReversed().slice(0, 2))
    const follower = await past.open({ mode: 'follower' })
    expect(await collect(follower.versions())).toEqual(infos.filter(({ version }) => version <= store.version))
    await follower.close()
    await store.close()
  })

  test('tags are listed, kept apart, and removed wherever they are', async () => {
    const past = new Past(make())
    await past.put(ALL, 1)
    const whole = await past.open()
    const old = await whole.tag('old')
    await whole.close()
    const two = await past.put(ALL, 2)
    await past.rescale({ shards: 2 })
    const store = await past.open({ shard: 0 })
    await expect(store.tag('old')).rejects.toThrow(code('INVALID_ARGUMENT'))
    const late = await store.tag('late', { at: two.version })
    expect(late).toMatchObject({ name: 'late', version: two.version, shard: { first: 0, last: 3 } })
    past.time += 1000
    await store.tag('own')
    expect((await store.tags()).map(({ name, shard }) => [name, shard!.first, shard!.last])).toEqual([
      ['old', 0, 7],
      ['late', 0, 7],
      ['own', 0, 3],
    ])
    expect(old.version).toBeLessThan(two.version)
    expect(await then(store, 'late')).toEqual(held([[[0, 1, 2, 3], 2]]))
    await store.untag('late')
    await store.untag('old')
    expect((await store.tags()).map(({ name }) => name)).toEqual(['own'])
    await expect(store.untag('old')).rejects.toThrow(code('NOT_FOUND'))
    await store.close()
  })

  test('diff compares versions on both sides of a seal', async () => {
    const past = new Past(make())
    const one = await past.put(ALL, 1)
    await past.put([1], 2)
    await past.rescale({ shards: 2 })
    const three = await past.put([2], 3)
    const store = await past.open({ shard: 0 })
    const changes = async (a: When, b: When): Promise<unknown[]> => collect(diff(store, a, b))
    const two = { key: keyIn(1), before: 1, after: 2 }
    const last = { key: keyIn(2), before: 1, after: 3 }
    const both = [two, last].sort((a, b) => (a.key < b.key ? -1 : 1))
    expect(await changes(one.version, three.version)).toEqual(both)
    expect(await changes(three.at, one.at)).toEqual(
      both.map(({ key, before, after }) => ({ key, before: after, after: before })),
    )
    expect(await changes(one.version, new Date(three.at.getTime() - 1500))).toEqual([two])
    await store.close()
  })

  test('a follower that goes on to children goes on into the past, too', async () => {
    const past = new Past(make())
    const one = await past.put(ALL, 1)
    const follower = await past.open({ mode: 'follower' })
    await past.rescale({ shards: 3 })
    await past.rescale({ shards: 1 })
    await past.put(ALL, 2)
    await follower.refresh()
    expect(await then(follower, one.at)).toEqual(held([[ALL, 1]]))
    expect(await then(follower, new Date(past.time))).toEqual(held([[ALL, 2]]))
    await follower.close()
  })

  test('large commits and folds before a seal are in the past of its children', async () => {
    const past = new Past(make())
    const small = { segmentBytes: 300, blockBytes: 60, checkpoint: { entries: 3, bytes: 300 } }
    const seen: { at: Date; version: number; all: [string, number][] }[] = []
    for (let round = 0; round < 8; round++) {
      past.time += 1000
      const store = await past.open(small)
      for (let i = 0; i < (round % 3) * 15 + 1; i++) store.put(`row ${i}`, round)
      if (round % 4 === 3) store.deleteRange({ gte: 'row 1', lt: 'row 2' })
      const { version } = await store.commit()
      seen.push({ at: new Date(past.time), version, all: await contents(store) })
      await store.close()
    }
    await past.rescale({ shards: 3 })
    const shards = [0, 3, 6]
    const follower = await past.open({ mode: 'follower' })
    for (const { at, version, all } of seen) {
      expect(await then(follower, at)).toEqual(all)
      const parts: [string, number][] = []
      for (const shard of shards) {
        const store = await past.open({ shard })
        parts.push(...(await then(store, version)))
        await store.close()
      }
      expect(parts.sort(([a], [b]) => (a < b ? -1 : 1))).toEqual(all)
    }
    await follower.close()
  })
})

test('a shard of several is not forked, nor is a version from before a merge', async () => {
  const past = new Past(memory())
  const one = await past.put(ALL, 1)
  await past.rescale({ shards: 2 })
  const store = await past.open({ shard: 0 })
  await expect(store.fork('fork')).rejects.toThrow(code('INVALID_ARGUMENT'))
  await store.close()
  await past.rescale({ shards: 1 })
  const merged = await past.open()
  await expect(merged.fork('fork', { at: one.at })).rejects.toThrow(code('INVALID_ARGUMENT'))
  await merged.fork('fork')
  await merged.close()
  const fork = await past.open({ name: 'fork' })
  expect(await contents(fork)).toEqual(held([[ALL, 1]]))
  expect(fork.shards).toEqual([{ first: 0, last: 7, version: fork.version }])
  await fork.close()
})
