/** Epochs: a run commits with a label when one is over, and that version has all events up to it and no later one. */
import { openStore, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { consume, type Source } from 'tidemark/stream'
import { expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'

const name = 's'

/** Partition p has the events of each day one after another; their number differs from partition to partition. */
function days(partitions: number, last: number): Source<number> {
  return {
    name: 'days',
    partitions,
    async *read(partition, from = 0) {
      let offset = 0
      for (let day = 1; day <= last; day++) {
        for (let i = 0; i <= (partition + day) % 3; i++, offset++) {
          if (offset >= Number(from)) yield { offset, key: `k${partition}`, value: day }
        }
      }
    },
  }
}

const epoch = ({ value }: { readonly value: unknown }): number => value as number
const open = (storage: Storage, options = {}): Promise<Store<string, number>> =>
  openStore<string, number>({ storage, name, partitions: 4, mode: 'exclusive', ...options })

async function count(store: Store<string, number>, source: Source<number>, everyEvents = 2): Promise<void> {
  await consume(
    store,
    source,
    async (event, state) => {
      const key = `day ${event.value}`
      state.put(key, ((await state.get(key)) ?? 0) + 1)
    },
    { epoch, everyEvents },
  )
}

/** How many events of each day a state has seen. */
async function seen(state: Pick<Store<string, number>, 'partition'>, first = 0, last = 3): Promise<number[]> {
  const counts: number[] = []
  for (let p = first; p <= last; p++) {
    for await (const [key, value] of state.partition(p).entries()) {
      const day = Number(key.slice(4))
      counts[day] = (counts[day] ?? 0) + value
    }
  }
  return counts
}

function expected(last: number, first = 0, end = 3): number[] {
  const counts: number[] = []
  for (let day = 1; day <= last; day++) {
    counts[day] = 0
    for (let p = first; p <= end; p++) counts[day]! += 1 + ((p + day) % 3)
  }
  return counts
}

test('the version of an epoch has all events up to it, of all partitions, and none of a later one', async () => {
  const store = await open(memory())
  await count(store, days(4, 6))
  for (let day = 1; day <= 6; day++) {
    const past = await store.at({ epoch: day })
    expect(await seen(past)).toEqual(expected(day))
    await past.close()
  }
  await expect(store.at({ epoch: 7 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await store.tag('third', { epoch: 3 })
  const tagged = await store.at('third')
  expect(await seen(tagged)).toEqual(expected(3))
  await store.restore({ epoch: 2 })
  expect(await seen(store)).toEqual(expected(2))
  await store.close()
})

test('a run that is cut off goes on in its epoch, and says when that is over', async () => {
  const storage = memory()
  const store = await open(storage)
  // The source ends in the midst of day 4 for some: what it has of it so far is committed without an end.
  const stop = new AbortController()
  let left = 19
  await consume(
    store,
    days(4, 6),
    async (event, state) => {
      const key = `day ${event.value}`
      state.put(key, ((await state.get(key)) ?? 0) + 1)
      if (--left === 0) stop.abort()
    },
    { epoch, everyEvents: 1, signal: stop.signal },
  )
  await store.close()
  const again = await open(storage)
  await count(again, days(4, 6))
  for (let day = 1; day <= 6; day++) expect(await seen(await again.at({ epoch: day }))).toEqual(expected(day))
  const labels: unknown[] = []
  for await (const { label } of again.versions()) if (label) labels.push(label)
  expect(labels).toEqual([1, 2, 3, 4, 5, 6].map((day) => `epoch ${day}`))
  // A run that finds nothing new ends no epoch anew.
  const { version } = again
  await count(again, days(4, 6))
  expect(again.version).toBe(version)
  await again.close()
})

test('a partition that is silent does not hold up the others for ever', async () => {
  const store = await open(memory())
  const stop = new AbortController()
  const source: Source<number> = {
    name: 'days',
    partitions: 4,
    async *read(partition, _, { signal }) {
      if (partition === 0) {
        yield { offset: 0, value: 1 }
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      } else for (const [offset, value] of [1, 2].entries()) yield { offset, value }
    },
  }
  let events = 0
  await consume(
    store,
    source,
    () => {
      if (++events === 7) stop.abort()
    },
    { epoch, everyMs: 5, signal: stop.signal },
  )
  await store.at({ epoch: 1 })
  await store.close()
})

test('the shards of a store have the epoch each, and a follower of all shows them together', async () => {
  const storage = memory()
  await (await open(storage)).close()
  await rescale({ storage, name }, { shards: 2 })
  for (const shard of [0, 2]) {
    const store = await open(storage, { shard })
    await count(store, days(4, shard === 0 ? 5 : 4))
    await store.close()
  }
  const all = await openStore<string, number>({ storage, name, mode: 'follower' })
  expect(await seen(await all.at({ epoch: 3 }))).toEqual(expected(3))
  await expect(all.at({ epoch: 5 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await all.close()
  // The version stands on, where it was made, when the shards are one again.
  await rescale({ storage, name }, { shards: 1 })
  const whole = await open(storage)
  expect(await seen(await whole.at({ epoch: 3 }))).toEqual(expected(3))
  await whole.close()
})

/** Each partition has one event a day; handles the next so many of them. */
async function daily(storage: Storage, options: object, last: number, events = Infinity): Promise<void> {
  const store = await open(storage, options)
  const stop = new AbortController()
  let left = events
  const source: Source<number> = {
    name: 'daily',
    partitions: 4,
    async *read(_, from = 0) {
      for (let day = Number(from) + 1; day <= last; day++) yield { offset: day - 1, value: day }
    },
  }
  await consume(
    store,
    source,
    (event, state) => {
      state.put('day', event.value)
      if (--left === 0) stop.abort()
    },
    { epoch, everyEvents: 1, signal: stop.signal },
  )
  await store.close()
}

/** The newest day of each partition, as of the end of each epoch. */
async function newest(storage: Storage, last: number): Promise<(number[] | undefined)[]> {
  const all = await openStore<string, number>({ storage, name, mode: 'follower' })
  const days: (number[] | undefined)[] = []
  for (let day = 1; day <= last; day++) {
    const past = await all.at({ epoch: day }).catch(() => undefined)
    const each = past && [0, 1, 2, 3].map(async (p) => (await past.partition(p).get('day')) ?? 0)
    days.push(each && (await Promise.all(each)))
  }
  await all.close()
  return days
}

test.each([
  [5, 3],
  [3, 5],
])(
  'no epoch is over in a shard whose partitions came unequally far, to %i and %i, until they are equal',
  async (a, b) => {
    const storage = memory()
    await (await open(storage)).close()
    await rescale({ storage, name }, { shards: 2 })
    await daily(storage, { shard: 0 }, a)
    await daily(storage, { shard: 2 }, b)
    await rescale({ storage, name }, { shards: 1 })
    // It is stopped in between, and goes on.
    for (const events of [3, 5, Infinity]) await daily(storage, {}, 8, events)
    const expected = [1, 2, 3, undefined, 5, 6, 7, 8].map((day) => day && [day, day, day, day])
    expect(await newest(storage, 8)).toEqual(expected)
  },
)

test('an epoch in the midst of which a store is split ends in each of the shards', async () => {
  const storage = memory()
  await (await open(storage)).close()
  await daily(storage, {}, 4, 6)
  await rescale({ storage, name }, { shards: 4 })
  for (const shard of [0, 1, 2, 3]) await daily(storage, { shard }, 4)
  expect(await newest(storage, 4)).toEqual([1, 2, 3, 4].map((day) => [day, day, day, day]))
})

test('what is no number is refused', async () => {
  const store = await open(memory())
  await expect(consume(store, days(4, 2), () => undefined, { epoch: () => NaN })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  })
  await store.close()
})
