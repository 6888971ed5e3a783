/** Segments of other logs of which little counts are rewritten in time, so that their logs can delete them. */
import { openStore, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { expect, test } from 'vitest'
import { pickClipped } from '../../../../src/engine/compaction/clipped.js'
import { makeSlot, tableBytes } from '../../../../src/engine/slot.js'
import { clip, type PartitionRange } from '../../../../src/manifest/clip.js'
import type { Manifest, Run } from '../../../../src/manifest/manifest.js'
import { handleOf } from '../../../../src/store/handles.js'
import { LOG_PATH, recordsOf, Runs } from '../../../support/parts.js'

const OWN = `s/0/${'02'.repeat(16)}`
const cut = (run: Run, range: PartitionRange): Run => run.flatMap((segment) => clip(segment, range) ?? [])
const manifestOf = (runs: readonly Run[]): Manifest => ({
  config: { partitions: 8, job: undefined, created: 0 },
  covers: 0,
  codecs: new Map(),
  runs,
})

test('a run of which less than half counts is picked, whatever part that is', async () => {
  const runs = new Runs()
  const all = Array.from({ length: 8 }, (_, partition) =>
    recordsOf(
      Array.from({ length: 20 }, (_, key) => [key, partition]),
      makeSlot(partition, tableBytes('')),
    ),
  ).flat()
  // One segment of many blocks.
  const run = await runs.write(all)
  const large = await runs.write(all, [], 1 << 20)
  expect([run.length > 8, large.length]).toEqual([true, 1])
  const picks = async (of: Run, range: PartitionRange, log = OWN): Promise<boolean> =>
    (await pickClipped(runs.cache, manifestOf([cut(of, range)]), log)) !== undefined
  for (const [range, expected] of [
    [[0, 0], true],
    [[7, 7], true],
    [[3, 4], true],
    [[0, 2], true],
    [[0, 4], false],
    [[3, 7], false],
    [[0, 7], false],
  ] as const) {
    expect(await picks(large, range), `partitions ${range.join(' to ')}`).toBe(expected)
  }
  // Of small segments most count as they are.
  expect(await picks(run, [0, 0])).toBe(false)
  // Those of its own are no other log's business.
  expect(await picks(large, [0, 0], LOG_PATH)).toBe(false)
  const half = cut(large, [0, 0])
  expect(await pickClipped(runs.cache, manifestOf([run, half, half]), OWN)).toBe(half)
})

const PARTITIONS = 4

async function forked(): Promise<{ fork: Store; logOf: () => string[] }> {
  const storage = memory()
  const store = await openStore({ storage, name: 's', partitions: PARTITIONS })
  for (let i = 0; i < PARTITIONS; i++) for (let k = 0; k < 100; k++) store.partition(i).put(k, `value ${k}`)
  await store.commit()
  await store.checkpoint()
  await store.fork('fork')
  const fork = await openStore({ storage, name: 'fork' })
  const first = fork.version
  for (let i = 0; i < PARTITIONS; i++) fork.partition(i).clear()
  await fork.commit()
  await fork.maintain()
  await fork.restore(first, { partitions: [1] })
  const logOf = (): string[] => [
    ...new Set(
      handleOf(fork)
        .state.manifest.runs.flat()
        .map(({ log }) => log.split('/')[0]!),
    ),
  ]
  return { fork, logOf }
}

test('it is rewritten after the next fold, and nothing of it is lost', async () => {
  const { fork, logOf } = await forked()
  fork.put('new', 1)
  await fork.commit()
  await fork.checkpoint()
  // What is rewritten is named by an entry that comes later.
  await expect
    .poll(async () => {
      await fork.set('new', 2)
      return logOf()
    })
    .toEqual(['fork'])
  expect(await fork.partition(1).get(7)).toBe('value 7')
  expect(await fork.get('new')).toBe(2)
  await fork.close()
})

test('maintain() rewrites it, though there is nothing to merge it with', async () => {
  const { fork, logOf } = await forked()
  expect(logOf()).toContain('s')
  await fork.maintain()
  expect(logOf()).toEqual(['fork'])
  expect(await fork.partition(1).get(99)).toBe('value 99')
  await fork.close()
})
