/**
 * What Bytewax tests of recovery data that is missing or does not fit, told anew.
 *
 * - No recovery data, a part of it missing, parts that do not fit together: each is an error with a code of its own.
 * - Recovery data of one job is not another's; its parts are made in a fixed number: here only the partitions are fixed.
 * - A part may be reachable by several workers, and one uses it: the second owner fences the first.
 */
import { cpSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { newestEpoch, rescale } from 'tidemark/group'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { verify } from 'tidemark/tools'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../support/storages.js'
import { create, name, open, partitions, runAll } from '../../support/weather.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

test('no store at all is NOT_FOUND for a run that is to go on', async () => {
  await expect(open(memory(), { create: false })).rejects.toThrow(code('NOT_FOUND'))
  await expect(rescale({ storage: memory(), name }, { shards: 3 })).rejects.toThrow(code('NOT_FOUND'))
})

test('a new store begins at the beginning', async () => {
  const storage = await create(memory(), 3)
  const shard = await open(storage, { shard: 4 })
  expect(shard.offsets).toEqual({})
  await shard.close()
  expect(await newestEpoch({ storage, name })).toBe(undefined)
})

/** Three shards in a folder, each with a run behind it; the folders of their logs. */
async function onFiles(): Promise<{ folder: string; logs: string[] }> {
  const folder = temporaryFolder()
  await runAll(await create(nodeFs(folder)), 3, 1)
  const logs = readdirSync(join(folder, name)).filter((each) => each.length === 32)
  return { folder, logs }
}

test.each([
  ['whose entries are gone', (log: string) => join(log, log)],
  ['of which nothing is left', (log: string) => log],
])('a shard %s is refused, and the others are opened', async (_, lost) => {
  const { folder, logs } = await onFiles()
  rmSync(join(folder, name, lost(logs[1]!)), { recursive: true })
  const codes: (string | undefined)[] = []
  for (const shard of [0, 2, 4]) {
    const store = await open(nodeFs(folder), { shard }).catch((error: { code: string }) => void codes.push(error.code))
    if (store) expect(store.offsets).not.toEqual({})
    await store?.close()
  }
  expect(codes).toEqual(['CORRUPT'])
  // Nor does a reader of all take what the store was before the split for its present state.
  await expect(open(nodeFs(folder), { mode: 'follower' })).rejects.toMatchObject({ code: 'CORRUPT' })
  const { ok } = await verify({ storage: nodeFs(folder), name })
  expect(ok).toBe(false)
})

test('a shard that was put back to an older copy is refused by who knows its version', async () => {
  const { folder, logs } = await onFiles()
  const copy = temporaryFolder()
  cpSync(join(folder, name, logs[0]!), copy, { recursive: true })
  await runAll(nodeFs(folder), 3, 2)
  const { shards } = await open(nodeFs(folder), { mode: 'follower' })
  rmSync(join(folder, name, logs[0]!), { recursive: true })
  cpSync(copy, join(folder, name, logs[0]!), { recursive: true })
  const refused: string[] = []
  for (const { first, version } of shards) {
    const store = await open(nodeFs(folder), { shard: first, expectAtLeast: version }).catch(
      (error: { code: string }) => void refused.push(error.code),
    )
    await store?.close()
  }
  expect(refused).toEqual(['ROLLED_BACK'])
  // Its shards do not stand at one epoch any more, and the cut is the older one.
  expect(await newestEpoch({ storage: nodeFs(folder), name })).toBe(1)
})

test('another job, and another number of partitions, are refused', async () => {
  const storage = memory()
  await (await open(storage, { partitions, job: 'highest' })).close()
  await rescale({ storage, name }, { shards: 2 })
  const shard = 3
  await expect(open(storage, { shard, job: 'lowest' })).rejects.toThrow(code('INVALID_ARGUMENT'))
  await expect(open(storage, { shard, partitions: 8 })).rejects.toThrow(code('INVALID_ARGUMENT'))
  await expect(rescale({ storage, name }, { shards: partitions + 1 })).rejects.toThrow(code('INVALID_ARGUMENT'))
})

test('of two workers with one shard the second fences the first', async () => {
  const storage = await create(memory(), 2)
  const one = await open(storage, { shard: 0 })
  const two = await open(storage, { shard: 1 })
  one.partition(0).put('x', 1)
  await expect(one.commit()).rejects.toThrow(code('FENCED'))
  two.partition(0).put('x', 2)
  await two.commit()
  await one.close()
  await two.close()
})
