/** A collection that pins the newest versions of hours and days is cut at every storage call. */
import { expect, test } from 'vitest'
import type { OpenOptions, Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { cuts, WAYS, worldOver, type Way } from 'tidemark/testing'
import { thinned } from '../support/extent.js'
import {
  atOurTime,
  change,
  contents,
  copyTo,
  expectSound,
  GRACE,
  objectsOf,
  open,
  settle,
  steadily,
  time,
  type Contents,
} from '../support/collect-world.js'
import { collect } from '../support/collect.js'
import { persist } from '../support/history.js'

const HOUR = 3_600_000
const START = Date.UTC(2026, 0, 1, 20)
/** Of eight hours, with midnight among them. */
const HOURS = 8
const RETAIN = { versions: 2, hourly: 4, daily: 3 }

interface Past {
  readonly storage: Storage
  /** All versions. */
  readonly versions: ReadonlyMap<number, Contents>
  /** Those that thinning keeps. */
  readonly kept: readonly number[]
  readonly tagged: number
  readonly end: number
}

/** Several versions in each hour, of which nothing is collected yet. */
async function makePast(mode: OpenOptions['mode']): Promise<Past> {
  time.now = START
  const storage = memory()
  const store = await open(storage, { mode, retain: { versions: 1000 }, blockBytes: 60 })
  const versions = new Map<number, Contents>()
  const newest = new Map<string, number>()
  for (let i = 0; i < HOURS * 3; i++) {
    const hour = Math.floor(i / 3)
    time.now = START + hour * HOUR + (i % 3) * 60_000
    change(store, i)
    const { version } = await store.commit({ label: String(i) })
    versions.set(version, await contents(store))
    newest.set(`hour ${hour}`, version)
    newest.set(`day ${hour < 4 ? 1 : 2}`, version)
    if (i % 5 === 4) await store.checkpoint()
  }
  await store.tag('kept', { at: [...versions.keys()][4]! })
  await store.close()
  const hours = Array.from({ length: 4 }, (_, i) => newest.get(`hour ${HOURS - 4 + i}`)!)
  const kept = [newest.get('day 1')!, ...hours, ...[...versions.keys()].slice(-RETAIN.versions)]
  const tagged = [...versions.keys()][4]!
  return { storage, versions, kept: [...new Set(kept)].sort((a, b) => a - b), tagged, end: time.now }
}

async function cutThinning(
  mode: OpenOptions['mode'],
  ways: readonly Way[],
  beside?: (storage: Storage) => Promise<() => Promise<unknown>>,
): Promise<string> {
  const past = await makePast(mode)
  const options = { mode, retain: RETAIN, blockBytes: 60, logger: false } as const
  let most = 0
  let end: (() => Promise<unknown>) | undefined
  const { points, runs, missed } = await cuts<never>({
    ways,
    only: thinned(ways, 8),
    limitMs: 60_000,
    async makeWorld(decide) {
      time.now = past.end
      const storage = atOurTime(memory())
      await copyTo(past.storage, storage)
      end = await beside?.(storage)
      return worldOver(() => storage)(decide)
    },
    async scenario(storage) {
      const store = await persist(() => open(storage, options))
      await steadily(store, () => store.maintain())
      time.now += GRACE
      await steadily(store, () => store.maintain())
      await store.close()
    },
    async verify(storage) {
      await end?.()
      const store = await open(storage, options)
      const expectKept = async (): Promise<void> => {
        const listed = (await collect(store.versions())).map(({ version }) => version)
        expect(listed).toEqual(expect.arrayContaining(past.kept as number[]))
        // All that is listed can be read: no pin is without what it needs.
        for (const version of [...listed, 'kept']) {
          const then = await store.at(version)
          const number = version === 'kept' ? past.tagged : (version as number)
          expect(await contents(then), `version ${version}`).toBe(past.versions.get(number))
          await then.close()
        }
      }
      await expectKept()
      await settle(storage, store)
      await expectKept()
      await expectSound(storage)
      const { pins } = await objectsOf(storage)
      most = Math.max(most, pins)
      // Nothing is thinned any more: what a crash has left over goes like the rest.
      await store.close()
      const bare = await open(storage, { ...options, retain: { ...RETAIN, hourly: 0, daily: 0 } })
      await settle(storage, bare)
      expect((await objectsOf(storage)).pins).toBe(1)
      await bare.close()
    },
  })
  expect(missed).toBeLessThan(runs / 4)
  // The tag, the thinned ones, and of each at most a second pin that a crash has left.
  expect(most).toBeGreaterThan(3)
  expect(most).toBeLessThan(2 + past.kept.length * 2)
  return `${points} points, ${runs} runs, at most ${most} pins`
}

test('a collection that thins, cut at every storage call in four ways, loses nothing that is kept', async () => {
  console.log(await cutThinning('exclusive', WAYS))
})

test('the same among shared writers, of whom another one thins at the same time', async () => {
  const told = await cutThinning('shared', ['error-after', 'never-sent'], async (storage) => {
    const other = await open(storage, { mode: 'shared', retain: RETAIN, blockBytes: 60, logger: false })
    const running = other.maintain()
    running.catch(() => undefined)
    return async () => {
      await running
      await other.maintain()
      await other.close()
    }
  })
  console.log(told)
})
