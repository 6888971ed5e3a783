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
import { intercept } from '../../../src/storage/intercept.js'
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
/** On a machine that is busy a file may take longer than a part of a lease; that is told, and tried again. */
const isNoDelay = (warning: string): boolean => !warning.startsWith('A lease could not be renewed')

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
  expect(warnings.filter(isNoDelay)).toEqual([])
  expect(rescale).toBeDefined()
}, 60_000)

test('a store and its group that two members make at once are made without a warning', async () => {
  const given: string[] = []
  const logger = { warn: (message: string) => void given.push(message) }
  let go!: () => void
  const gate = new Promise<void>((resolve) => (go = resolve))
  let waiting = 0
  // The first swap of each anchor waits, so that the second member finds a log without an anchor.
  const seen = new Set<string>()
  const slow = intercept(nodeFs(folder), async (call, run) => {
    if (call.method === 'swap' && /^s\/(?:0|group)\/anchor$/.test(call.path) && !seen.has(call.path)) {
      seen.add(call.path)
      waiting++
      if (call.path === 's/0/anchor') await gate
    }
    return run(call.signal)
  })
  const options = { name: 's', partitions: PARTITIONS, leaseMs: 6_000, logger }
  const first = joinGroup({ ...options, storage: slow })
  await until(() => waiting > 0)
  const second = await joinGroup({ ...options, storage: nodeFs(folder) })
  go()
  const members = [await first, second]
  expect(given.filter(isNoDelay)).toEqual([])
  for (const group of members) await group.leave()
})
