/** Groups on files, in real time. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from 'tidemark'
import { joinGroup, rescale, type Group } from 'tidemark/group'
import { nodeFs } from 'tidemark/node-fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from 'tidemark'
import { sleep } from '../../../src/clock.js'
import { until } from '../../support/until.js'

const EVENTS = 60
const PARTITIONS = 8

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-group-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const source = {
  name: 'events',
  partitions: PARTITIONS,
  async *read(_: number, from: unknown) {
    for (let offset = (from as number | undefined) ?? 0; offset < EVENTS; offset++) {
      await sleep(systemClock, 5)
      yield { offset, key: 'n', value: 1 }
    }
  },
}

const warnings: string[] = []

async function member(begun: string[]): Promise<{ readonly group: Group; readonly done: Promise<unknown> }> {
  const group = await joinGroup({
    storage: nodeFs(folder),
    name: 's',
    partitions: PARTITIONS,
    leaseMs: 6_000,
    coolMs: 0,
    logger: { warn: (message, cause) => void warnings.push(`${message} ${String(cause)}`) },
  })
  const done = group.run(
    source,
    async (event, state, _, { shard }) => {
      begun.push(`${shard.first} ${event.offset}`)
      state.put('n', (((await state.get('n')) as number | undefined) ?? 0) + 1)
    },
    { everyMs: 20 },
  )
  return { group, done }
}

async function counts(): Promise<number[]> {
  const store = await openStore<string, number>({ storage: nodeFs(folder), name: 's', mode: 'follower', logger: false })
  const all: number[] = []
  for (let i = 0; i < PARTITIONS; i++) all.push((await store.partition(i).get('n')) ?? 0)
  await store.close()
  return all
}

test('members on files share shards, hand them over, split and merge them', async () => {
  const begun: string[] = []
  const a = await member(begun)
  await until(() => begun.length > 20)
  await a.group.rescale({ shards: 4 })
  const b = await member(begun)
  await until(() => b.group.status().owned.length === 2)
  await b.group.rescale({ shards: 2 })
  await a.group.leave()
  await a.done
  await until(() => begun.length >= EVENTS * PARTITIONS)
  await b.group.leave()
  await b.done
  expect(await counts()).toEqual(Array.from({ length: PARTITIONS }, () => EVENTS))
  expect(begun).toHaveLength(EVENTS * PARTITIONS)
  expect(warnings).toEqual([])
  expect(rescale).toBeDefined()
}, 60_000)
