/** Splits and merges that are cut at each of their storage calls, alone and beside those who write the shards meanwhile. */
import { isTidemarkError, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { cuts, WAYS, worldOver } from 'tidemark/testing'
import { describe, expect, test } from 'vitest'
import { rescaleLogs } from '../../src/engine/shards/rescale.js'
import { StoreHandle } from '../../src/store/handle.js'
import { resolveOptions } from '../../src/store/open-options.js'
import { Store } from '../../src/store/store.js'
import { contextOf } from '../../src/transfer/options.js'
import { byEntry } from '../support/by-entry.js'
import { extent } from '../support/extent.js'
import { hastyClock, persist } from '../support/history.js'
import { temporaryFolder } from '../support/storages.js'
import { inTurn } from '../support/thin.js'

const name = 's'
const PARTITIONS = [0, 1, 2, 3]

/** A commit that was acknowledged, to these partitions. */
interface Note {
  readonly key: string
  readonly partitions: readonly number[]
  readonly version: number
}

interface Opened {
  readonly handle: StoreHandle
  readonly store: Store<string>
}

type Mode = 'exclusive' | 'shared'

async function open(storage: Storage, shard: number, mode: Mode = 'exclusive'): Promise<Opened> {
  const settings = { storage, name, shard, mode, clock: hastyClock, partitions: PARTITIONS.length }
  const options = resolveOptions({ ...settings, checkpoint: { bytes: 600 }, blockBytes: 100, force: true })
  const handle = await StoreHandle.open(options)
  return { handle, store: new Store<string>(handle, handle.spec('', options.table)) }
}

function partitionsOf({ handle: { own } }: Opened): readonly number[] {
  return PARTITIONS.filter((p) => own === undefined || (own.first <= p && p <= own.last))
}

/** Puts the key into each partition of the shard. */
async function commit(opened: Opened, key: string, size: number, notes: Note[]): Promise<void> {
  const partitions = partitionsOf(opened)
  for (const p of partitions) opened.store.partition(p).put(key, 'x'.repeat(size))
  const { version } = await opened.store.commit()
  notes.push({ key, partitions, version })
}

function rescale(storage: Storage, to: readonly number[]): ReturnType<typeof rescaleLogs> {
  return rescaleLogs(contextOf({ storage, name }, hastyClock), () => to)
}

/** A store of shards that begin at 0 and at the cuts, each with segments, a commit by reference, and a tail. */
async function prepare(storage: Storage, at: readonly number[], notes: Note[]): Promise<void> {
  const root = await open(storage, 0)
  await commit(root, 'first', 10, notes)
  await root.store.checkpoint()
  await commit(root, 'tail', 10, notes)
  await root.store.close()
  await rescale(storage, at)
  for (const shard of [0, ...at]) {
    const opened = await open(storage, shard)
    await commit(opened, `small ${shard}`, 10, notes)
    await commit(opened, `large ${shard}`, 800, notes)
    await opened.store.close()
  }
}

/** Commits as long as it is told to, whatever becomes of its shard. */
async function write(storage: Storage, shard: number, mode: Mode, notes: Note[], isOver: () => boolean): Promise<void> {
  const opened = await persist(() => open(storage, shard, mode))
  for (let i = 0, more = 2; more > 0 && i < 40; i++) {
    try {
      await commit(opened, `written ${shard} ${i}`, 10, notes)
      if (isOver()) more--
    } catch (error) {
      if (!isTidemarkError(error)) throw error
      opened.store.discard()
      if (error.code === 'FENCED' || error.code === 'UNKNOWN_OUTCOME') await persist(() => opened.store.reopen())
    }
  }
  await persist(() => opened.store.close())
}

/** Anybody opens every partition, everything acknowledged is there, and another rescale ends what was begun. */
async function verify(storage: Storage, notes: readonly Note[], to: readonly number[]): Promise<void> {
  const numbers = notes.flatMap(({ partitions, version }) => partitions.map((p) => `${p}@${version}`))
  expect(new Set(numbers).size).toBe(numbers.length)
  const more: Note[] = []
  const look = async (shards: readonly number[], key: string): Promise<void> => {
    const seen: number[] = []
    for (const shard of shards) {
      const opened = await open(storage, shard)
      seen.push(...partitionsOf(opened))
      for (const p of partitionsOf(opened)) {
        const wanted = [...notes, ...more].filter(({ partitions }) => partitions.includes(p)).map((note) => note.key)
        const found: unknown[] = []
        for await (const key of opened.store.partition(p).keys()) found.push(key)
        expect(found).toEqual(expect.arrayContaining(wanted))
      }
      await commit(opened, `${key} ${shard}`, 10, more)
      await opened.store.close()
    }
    if (shards.length < PARTITIONS.length) expect(seen).toEqual(PARTITIONS)
    for (const { partitions, version } of more) {
      const before = notes.filter((note) => note.partitions.some((p) => partitions.includes(p)))
      expect(version).toBeGreaterThan(Math.max(...before.map((note) => note.version)))
    }
  }
  await look(PARTITIONS, 'found')
  const shards = await rescale(storage, to)
  expect(shards.map(({ first }) => first)).toEqual([0, ...to])
  await look([0, ...to], 'rescaled')
}

/** One in so many calls is cut, alone and beside writers. */
const PLACES: readonly (readonly [string, () => Storage, alone: number, beside: number])[] = [
  ['memory', () => memory(), extent(1, 4), extent(8, 24)],
  ['a bucket, whose entries are read one by one', () => bucket(memory()), extent(1, 6), extent(16, 40)],
  ['files', () => nodeFs(temporaryFolder()), extent(4, 12), 32],
]

function bucket(storage: Storage): Storage {
  const capabilities = { ...storage.capabilities, trim: 'writer' } as const
  return { ...storage, capabilities, log: (...of) => byEntry(storage.log(...of)) }
}

const PLANS: readonly (readonly [string, readonly number[], readonly number[]])[] = [
  ['a split', [], [2]],
  ['a merge', [2], []],
  ['three shards made two', [1, 3], [2]],
]

interface Meanwhile {
  readonly mode: Mode
}

async function cut(
  make: () => Storage,
  share: number,
  [from, to]: readonly (readonly number[])[],
  meanwhile?: Meanwhile,
) {
  const makeWorld = worldOver(make)
  let before: Note[] = []
  const { points, runs, missed } = await cuts<Note>({
    async makeWorld(decide) {
      let isCutting = false
      const world = await makeWorld((point) => (isCutting ? decide(point) : undefined))
      before = []
      await prepare(await world.reopen(), from!, before)
      isCutting = true
      return world
    },
    async scenario(storage, notes) {
      notes.push(...before)
      let isOver = false
      const rescaling = persist(() => rescale(storage, to!)).finally(() => (isOver = true))
      const writing =
        meanwhile && [0, ...from!].map((shard) => write(storage, shard, meanwhile.mode, notes, () => isOver))
      await Promise.all([rescaling, ...(writing ?? [])])
    },
    verify: (storage, notes) => verify(storage, notes, to!),
    only: inTurn({ writes: share, reads: share }, WAYS),
    limitMs: 60_000,
  })
  console.log(`${points} cut points, ${runs} runs, ${missed} missed`)
  expect(points).toBeGreaterThan(10)
  expect(missed).toBeLessThan(runs / 4)
}

describe.each(PLACES)('on %s', { timeout: 600_000 }, (_, make, alone, beside) => {
  test.each(PLANS)('%s, cut anywhere, loses nothing and is ended by the next', async (_, from, to) => {
    await cut(make, alone, [from, to])
  })

  test.each(PLANS)('%s beside an owner that writes', async (_, from, to) => {
    await cut(make, beside, [from, to], { mode: 'exclusive' })
  })

  test.each(PLANS)('%s beside one of several writers', async (_, from, to) => {
    await cut(make, beside, [from, to], { mode: 'shared' })
  })
})
