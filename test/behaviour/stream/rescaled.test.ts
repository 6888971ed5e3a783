/**
 * Whole lives of a job whose store is split and merged again and again, by runs that end wherever they end: each event has its effect
 * once, in its own partition, and each output goes out under one id (S4).
 */
import type { Storage } from 'tidemark'
import { consume, type Output, type Source, type SourceEvent } from 'tidemark/stream'
import { describe, expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { partitionOf } from '../../../src/store/reads.js'
import { Random } from '../../../src/testing/random.js'
import { extent } from '../../support/extent.js'
import { keyIn, open, PARTITIONS, PLACES } from '../../support/sharded.js'

const EVENTS = 40

interface Job {
  readonly source: Source<number, string>
  /** The keys of its events, each of which is there once. */
  readonly keys: readonly string[]
}

/** A source of one partition or of three, whose events go where their keys say. */
function scattered(name: string, partitions: number): Job {
  const keyAt = (partition: number, offset: number): string => `${name}${partition}-${offset}`
  const source: Source<number, string> = {
    name,
    partitions,
    async *read(partition, from) {
      for (let offset = Number(from ?? 0); offset < EVENTS / partitions; offset++)
        yield { offset, key: keyAt(partition, offset), value: offset } satisfies SourceEvent<number, string>
    },
  }
  const keys = Array.from({ length: partitions }, (_, p) =>
    Array.from({ length: Math.ceil(EVENTS / partitions) }, (__, offset) => keyAt(p, offset)),
  )
  return { source, keys: keys.flat() }
}

/** A source whose positions are strings, which have no order. */
function opaque(): Job {
  const source: Source<number, string> = {
    name: 'opaque',
    partitions: 1,
    async *read(_, from) {
      for (let i = from === undefined ? 0 : Number(String(from).slice(1)); i < EVENTS; i++)
        yield { offset: `#${i}`, next: `#${i + 1}`, key: `opaque-${i}`, value: i }
    },
  }
  return { source, keys: Array.from({ length: EVENTS }, (_, i) => `opaque-${i}`) }
}

/** A source with as many partitions as the store; its events have keys of their partition. */
function aligned(): Job {
  const each = EVENTS / PARTITIONS
  const source: Source<number, string> = {
    name: 'aligned',
    *read(partition, from) {
      for (let offset = Number(from ?? 0); offset < each; offset++)
        yield { offset, key: keyIn(partition, offset), value: offset }
    },
  }
  const keys = Array.from({ length: PARTITIONS }, (_, p) => Array.from({ length: each }, (__, i) => keyIn(p, i)))
  return { source, keys: keys.flat() }
}

/** One run in the shard of a partition, which ends by an error after so many events or deliveries; true when it came to its end. */
async function run(
  storage: Storage,
  shard: number,
  { source }: Job,
  delivered: Map<string, string>,
  [everyEvents, events, deliveries]: readonly number[],
): Promise<boolean> {
  const store = await open(storage, { shard })
  let left = events!
  let sinks = deliveries!
  const end = (): never => {
    throw new Error('the end')
  }
  try {
    await consume<number, string, string, number, string>(
      store,
      source,
      async ({ key }, state, emit) => {
        if (left-- === 0) end()
        state.put(key, ((await state.get(key)) ?? 0) + 1)
        emit(key)
      },
      {
        everyEvents: everyEvents!,
        everyMs: 3_600_000,
        sink: {
          deliver(outputs: readonly Output<string>[]) {
            for (const { id, value } of outputs) {
              expect(delivered.get(id) ?? value, `output ${id}`).toBe(value)
              delivered.set(id, value)
            }
            // What was delivered comes again in the next run.
            if (sinks-- === 0) end()
          },
        },
      },
    )
    return true
  } catch (error) {
    if ((error as Error).message !== 'the end') throw error
    return false
  } finally {
    await store.close()
  }
}

describe.each(PLACES)('on %s', (place, make) => {
  test.each([
    ['a source of one partition', () => scattered('one', 1)],
    ['a source of three partitions', () => scattered('three', 3)],
    ['a source of as many partitions as the store', aligned],
    ['a source of strings', opaque],
  ])('%s', async (_, jobOf) => {
    const lives = place === 'files' ? extent(6, 1) : extent(40, 2)
    for (let seed = 1; seed <= lives; seed++) {
      const random = new Random(seed)
      const storage = make()
      const job = jobOf()
      const delivered = new Map<string, string>()
      await (await open(storage)).close()
      for (let step = 0; step < 16; step++) {
        const cuts = Array.from({ length: PARTITIONS - 1 }, (__, i) => i + 1).filter(() => random.chance(0.3))
        if (random.chance(0.4)) await rescale({ storage, name: 's' }, { cuts })
        const limits = [1 + random.below(6), random.below(14), random.below(5)]
        await run(storage, random.below(PARTITIONS), job, delivered, limits)
      }
      if (random.chance(0.5)) await rescale({ storage, name: 's' }, { shards: 1 })
      for (let partition = 0; partition < PARTITIONS; partition++) {
        expect(await run(storage, partition, job, delivered, [5, Infinity, Infinity]), `seed ${seed}`).toBe(true)
      }
      const follower = await open(storage, { mode: 'follower' })
      for (const key of job.keys)
        expect(await follower.get(key), `seed ${seed}, ${key} of ${partitionOf(key, PARTITIONS)}`).toBe(1)
      expect(await follower.count()).toBe(job.keys.length)
      expect(new Set(delivered.values()), `seed ${seed}`).toEqual(new Set(job.keys))
      expect(delivered.size, `seed ${seed}`).toBe(job.keys.length)
      await follower.close()
    }
  })
})
