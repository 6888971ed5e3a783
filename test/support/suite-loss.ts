/**
 * A store loses something: each object, or file, each folder, one at a time and in pairs, at several ages. Whoever opens it, copies
 * it or looks at it sees all that was acknowledged, or gets a typed error; an error has written nothing; and when the lost things
 * are put back, everything is there again.
 *
 * On objects one loss can't be told: that of the newest entries. Then an earlier version is shown, and `expectAtLeast` tells.
 */
import { expect } from 'vitest'
import { isTidemarkError } from 'tidemark'
import { memory } from 'tidemark/memory'
import { Random } from '../../src/testing/random.js'
import { ACTS } from './loss-acts.js'
import {
  NAME,
  Trial,
  advance,
  change,
  contents,
  grow,
  longClock,
  lose,
  open,
  reached,
  stateAfter,
  thingsOf,
  type Tally,
} from './loss-trial.js'
import { isEntry, objectsWorld, type LossWorld } from './loss-worlds.js'
import type { LossShare, SuiteOptions } from './suite-options.js'

export const FEW_LOSSES: LossShare = { ages: [14], singles: 3, pairs: 2, acts: 1, others: 1 }
export const MORE_LOSSES: LossShare = { ages: [2, 31], singles: 8, pairs: 6, acts: 1, others: 3 }
export const SOME_LOSSES: LossShare = { ages: [1, 2, 13, 31], singles: 6, pairs: 5, acts: 1, others: 4 }
export const MANY_LOSSES: LossShare = {
  ages: [1, 2, 5, 13, 31, 120, 300],
  singles: 12,
  pairs: 12,
  acts: 2,
  others: 16,
}
/** At random, each at most once. */
function some<T>(all: readonly T[], most: number, random: Random): readonly T[] {
  if (all.length <= most) return all
  const rest = [...all]
  return Array.from({ length: most }, () => rest.splice(random.below(rest.length), 1)[0]!)
}

function pairsOf(things: readonly string[], most: number, random: Random): string[][] {
  const pairs: string[][] = []
  for (const [i, a] of things.entries()) for (const b of things.slice(i + 1)) pairs.push([a, b])
  return [...some(pairs, most, random)]
}

/** Loses things of a store of this age, alone and in pairs, and does something after each loss. */
export async function tryLosses(
  age: number,
  loss: Omit<LossShare, 'ages'>,
  fresh: () => LossWorld,
  young: LossWorld,
  random: Random,
): Promise<Tally> {
  const acts = Object.entries(ACTS)
  const tally: Tally = { right: 0, earlier: 0, new: 0 }
  const failures: string[] = []
  await grow(young.storage, age)
  const whole = await young.dump(NAME)
  const things = thingsOf(whole)
  const singles = some(things, loss.singles, random).map((thing) => [thing])
  let turn = random.below(acts.length)
  for (const lost of [...singles, ...pairsOf(things, loss.pairs, random)]) {
    const given = lose(whole, age, lost)
    for (let i = lost.length === 1 ? loss.acts : 1; i > 0; i--) {
      const [what, act] = acts[turn++ % acts.length]!
      const trial = new Trial(fresh(), given, tally)
      try {
        await trial.world.put(given.left)
        await act(trial)
      } catch (error) {
        failures.push(`without ${lost.join(' and ')}: ${what}: ${String(error)}`)
      }
    }
  }
  expect(failures, `after ${age} commits`).toEqual([])
  return tally
}

export function lossSuite({ test, make, loss, world }: SuiteOptions): void {
  const fresh = world ?? ((): LossWorld => objectsWorld(make()))
  for (const age of loss.ages) {
    test(`after ${age} commits a store that has lost any thing, or any two, shows all that was acknowledged or says so`, async () => {
      const young = world ? world() : objectsWorld(memory())
      const tally = await tryLosses(age, loss, fresh, young, new Random(age))
      expect(Object.values(tally).reduce((sum, count) => sum + count)).toBeGreaterThan(0)
    })
  }

  test('what is acknowledged after a loss beneath its owner is there when the rest is put back', async () => {
    const age = loss.ages.find((commits) => commits >= 13)!
    const young = world ? world() : objectsWorld(memory())
    await grow(young.storage, age)
    const begun = await young.dump(NAME)
    const most = 4 * loss.others
    for (let [i, all] = [0, most]; i < Math.min(all, most); i++) {
      const disk = fresh()
      const { storage } = disk
      await disk.put(begun)
      const owner = await open(storage)
      const whole = await disk.dump(NAME)
      // The names of files are other ones each time.
      const things = thingsOf(whole)
      all = things.length
      const thing = things[Math.floor((i * all) / Math.min(all, most))]!
      const { lost } = lose(whole, age, [thing])
      await disk.lose([...lost])
      change(owner, age + 1)
      const isDone = await owner.commit({ offsets: { i: age + 1 } }).then(
        () => true,
        (error: unknown) => {
          if (!isTidemarkError(error)) throw error
          return false
        },
      )
      await owner.close()
      const there = await disk.dump(NAME)
      await disk.put(new Map([...whole].filter(([name]) => lost.has(name) && !(isEntry(name) && there.has(name)))))
      const after = await open(storage, { mode: 'follower' })
      expect(isDone ? [age + 1] : [age, age + 1], thing).toContain(reached(after))
      expect(await contents(after)).toEqual(stateAfter(reached(after)))
      await after.close()
    }
  })

  test('what a fork needs is kept for it while it has lost something', async () => {
    const random = new Random(12)
    const clock = longClock()
    const young = world ? world() : objectsWorld(memory())
    const parent = await open(young.storage, { name: 'parent', clock })
    await advance(parent, 1, 20)
    await parent.checkpoint()
    await parent.fork(NAME)
    const fork = await open(young.storage, { clock })
    await advance(fork, 21, 26)
    await parent.close()
    await fork.close()
    let collected = 0
    const [parents, whole] = [await young.dump('parent'), await young.dump(NAME)]
    for (const thing of some(thingsOf(whole), loss.others, random)) {
      const given = lose(whole, 26, [thing])
      // When nothing at all is left of a fork, nothing says that it ever was.
      if (given.left.size === 0) continue
      const trial = new Trial(fresh(), given, { right: 0, earlier: 0, new: 0 })
      await trial.world.put(new Map([...parents, ...given.left]))
      const owner = await open(trial.world.storage, { name: 'parent', clock, retain: { versions: 1 } })
      for (let i = 0; i < 4; i++) {
        owner.clear()
        owner.put('round', i)
        await owner.commit()
        await owner.checkpoint()
        await owner.maintain({ minDeletes: 1 })
      }
      collected += owner.metrics().collected
      await owner.close()
      expect(await trial.world.dump(NAME)).toEqual(given.left)
      await trial.putBack(26)
    }
    expect(collected).toBeGreaterThan(0)
  })
}
