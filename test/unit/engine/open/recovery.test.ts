/** Recovery, step by step, on logs of a few entries. */
import { expect, test } from 'vitest'
import { confirmHead, findStore, readHistory, readLog, readOn } from '../../../../src/engine/open/recovery.js'
import type { ShardState } from '../../../../src/engine/state.js'
import type { AnchorValue } from '../../../../src/log/anchor.js'
import { LogWorld } from '../../../support/log-world.js'
import { LOG_ID, memtableOf } from '../../../support/parts.js'

const corrupt = (words: RegExp): Error =>
  expect.objectContaining({ code: 'CORRUPT', message: expect.stringMatching(words) }) as Error
const hint: AnchorValue & { isRebuilt?: boolean } = { logId: LOG_ID, trim: 0, manifestAt: 1, covers: 0, time: 0 }
const commits = (count: number): { memtable: ReturnType<typeof memtableOf> }[] =>
  Array.from({ length: count }, (_, i) => ({ memtable: memtableOf({ puts: [[i, i]] }) }))

/** A log with so many commits behind its first entry, and the state at its head. */
async function logOf(count: number): Promise<{ world: LogWorld; state: ShardState }> {
  const world = new LogWorld()
  const state = await world.append(await world.begin(3), commits(count))
  await world.setAnchor()
  return { world, state }
}

const shown = ({ head, carried, manifest, tail }: ShardState): unknown => ({
  head,
  version: carried.version,
  covers: manifest.covers,
  partitions: manifest.config.partitions,
  tail: tail.map(({ n, memtable }) => [n, memtable?.slots.size]),
})

test.each([0, 1, 14, 15, 16, 17, 40])('a log of %i commits is replayed to its head', async (count) => {
  const { world, state } = await logOf(count)
  const read = await readLog(world.ctx, world.log, hint)
  expect(shown(read)).toEqual(shown(state))
  expect(read.headHash).toEqual(state.headHash)
})

test('it begins behind what the manifest covers, and finds the manifest on its way', async () => {
  const { world, state } = await logOf(4)
  const fold = { kind: 'fold', from: 0, covers: 5, runs: [], codecs: new Map() } as const
  const head = await world.append(state, [{ kind: 'fold', edits: [fold] }, ...commits(1)])
  await world.log.log.remove([1, 2, 3, 4, 5])
  const read = await readLog(world.ctx, world.log, { ...hint, manifestAt: 6, covers: 5 })
  expect(shown(read)).toEqual(shown(head))
  expect(read.tail.map(({ n }) => n)).toEqual([6, 7])
})

test('readOn goes on from a state, tells of each entry, and notes since when the next number is free', async () => {
  const { world, state } = await logOf(2)
  const seen: number[] = []
  const later = await world.append(state, commits(3))
  world.clock.time = 5_000
  const read = await readOn(world.ctx, world.log, state, 1, ({ entry }) => seen.push(entry.n))
  expect([read.head, seen]).toEqual([later.head, [4, 5, 6]])
  expect(world.log.free?.local).toBe(5_000)
  expect(await readOn(world.ctx, world.log, read, 1)).toBe(read)
})

test.each([1, 2, 20])('an entry that is lost %i before the head is a hole, not the end', async (before) => {
  const { world, state } = await logOf(30)
  await world.log.log.remove([state.head - before])
  await expect(readLog(world.ctx, world.log, hint)).rejects.toEqual(
    corrupt(new RegExp(`Entry ${state.head - before} .*is missing, and later ones are there`)),
  )
})

test.each([[[16]], [[15, 16]]])('so are %j, the last of those that are asked for at once', async (lost) => {
  const { world } = await logOf(16)
  await world.log.log.remove(lost)
  await expect(readLog(world.ctx, world.log, hint)).rejects.toEqual(corrupt(new RegExp(`Entry ${lost[0]} `)))
})

test('a log that was trimmed while it was read ends there, and the head is not confirmed', async () => {
  const { world } = await logOf(4)
  await world.log.log.remove([1, 2, 3])
  await world.setAnchor({ trim: 3, manifestAt: 5, covers: 4 })
  const state = await readOn(world.ctx, world.log, await new LogWorld().begin(3))
  expect(state.head).toBe(1)
  expect(await confirmHead(world.ctx, world.log, state)).toBeUndefined()
})

test('a log that ends before the entry that its anchor names is damaged', async () => {
  const { world } = await logOf(2)
  await world.setAnchor({ manifestAt: 9 })
  await expect(readHistory(world.ctx, world.log, { ...hint, manifestAt: 9 }, true)).rejects.toEqual(
    corrupt(/Entry 4 .*is missing: its anchor names entry 9/),
  )
})

test('if the anchor says something else by now, nothing is judged', async () => {
  const { world } = await logOf(2)
  await world.setAnchor({ manifestAt: 2, covers: 1 })
  expect(await readHistory(world.ctx, world.log, { ...hint, manifestAt: 9 }, true)).toBeUndefined()
  await world.setAnchor({ logId: new Uint8Array(16).fill(9), manifestAt: 9 })
  expect(await readHistory(world.ctx, world.log, { ...hint, manifestAt: 9 }, true)).toBeUndefined()
})

test('nor when an entry cannot be read that an old hint led to', async () => {
  const { world, state } = await logOf(2)
  await world.log.log.append(state.head + 1, new Uint8Array(40), 1)
  await expect(readHistory(world.ctx, world.log, hint, true)).rejects.toMatchObject({ code: 'CORRUPT' })
  await world.setAnchor({ manifestAt: 2, covers: 1 })
  expect(await readHistory(world.ctx, world.log, hint, true)).toBeUndefined()
})

test('an entry that counts on another manifest than the one that was found is damage', async () => {
  const { world, state } = await logOf(1)
  await world.append({ ...state, carried: { ...state.carried, manifestAt: 2, covers: 1 } }, commits(1))
  await expect(readHistory(world.ctx, world.log, hint, true)).rejects.toEqual(
    corrupt(/needs a manifest up to 1, and the newest one covers 0/),
  )
})

test('an entry whose parent is another one than the head is no part of the history', async () => {
  const { world, state } = await logOf(1)
  await world.append({ ...state, headHash: new Uint8Array(16).fill(9) }, commits(1))
  await expect(readLog(world.ctx, world.log, hint)).rejects.toEqual(corrupt(/does not follow entry 2/))
})

test('R25: a head counts only above the trim number, in the log that the anchor names', async () => {
  const { world, state } = await logOf(2)
  const confirmed = async (value: Partial<AnchorValue>): Promise<boolean> => {
    await world.setAnchor({ manifestAt: 3, covers: 2, ...value })
    return (await confirmHead(world.ctx, world.log, state)) === state
  }
  expect(await confirmed({ trim: state.head - 1 })).toBe(true)
  expect(await confirmed({ trim: state.head })).toBe(false)
  expect(await confirmed({ logId: new Uint8Array(16).fill(9) })).toBe(false)
})

test('without an anchor a head counts only where it was gone before', async () => {
  const { world, state } = await logOf(2)
  await world.log.anchor.remove()
  expect(await confirmHead(world.ctx, world.log, state)).toBeUndefined()
  expect(await confirmHead(world.ctx, world.log, state, true)).toBe(state)
})

test('a store is found by its anchor, else by its entries, which is told; else there is none', async () => {
  const { world } = await logOf(2)
  expect((await findStore(world.ctx, world.log.anchor)).value).toEqual(hint)
  await world.log.anchor.remove()
  expect((await findStore(world.ctx, world.log.anchor)).value).toMatchObject({
    logId: LOG_ID,
    manifestAt: 1,
    covers: 0,
  })
  expect(world.warnings).toEqual([expect.stringMatching(/anchor .*was missing and is rebuilt from entry 3/)])
  const nothing = new LogWorld()
  expect((await findStore(nothing.ctx, nothing.log.anchor)).value).toBeUndefined()
})
