/** The next process finds a prefix of the history that holds all that was acknowledged, and one owner. */
import { expect } from 'vitest'
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty } from 'tidemark/testing'
import { probe } from '../../src/storage/probe.js'
import { Random } from '../../src/testing/random.js'
import {
  advance,
  contents,
  hastyClock,
  open,
  persist,
  reached,
  stateAfter,
  verifyHistory,
  type Acknowledged,
} from './history.js'
import { live, ruin } from './ruin.js'
import type { SuiteOptions } from './suite-options.js'

/** Ends at the given call as a process does that is killed: that call and all later ones are never answered. */
async function lifeUpTo(call: number, storage: Storage, last: number, acknowledged: Acknowledged[]): Promise<boolean> {
  let [calls, isDead] = [0, false]
  let die = (): void => {}
  const death = new Promise<void>((resolve) => (die = resolve))
  const mortal = faulty(storage, () => {
    if (isDead) return 'never-sent'
    if (++calls < call) return undefined
    isDead = true
    die()
    return call % 2 === 0 ? 'never-sent' : 'reply-lost'
  })
  await probe(memory(), 'history/0', hastyClock, mortal)
  const noted: Acknowledged[] = []
  const living = (async () => {
    const store = await open(mortal)
    await advance(store, last, noted)
    await store.close()
  })()
  await Promise.race([living, death])
  // Nobody is told any more of what is answered after the death.
  acknowledged.push(...noted)
  if (isDead) living.catch(() => undefined)
  await mortal.idle()
  return !isDead
}

export function recoverySuite({ test, make }: SuiteOptions): void {
  test('a program that is killed at any call, again and again, goes on from what was acknowledged', async () => {
    const random = new Random(2026)
    const storage = make()
    const acknowledged: Acknowledged[] = []
    let lives = 0
    while (!(await lifeUpTo(12 + random.below(12), storage, 12, acknowledged))) {
      expect(++lives).toBeLessThan(40)
    }
    expect(lives).toBeGreaterThan(1)
    await verifyHistory(storage, acknowledged, 12)
  })

  test('what a process that never closed has committed is there for the next one, which fences it off', async () => {
    const storage = make()
    const acknowledged: Acknowledged[] = []
    const store = await open(storage)
    await advance(store, 10, acknowledged)
    const successor = await open(storage)
    expect(reached(successor)).toBe(10)
    expect(await contents(successor)).toEqual(stateAfter(10))
    store.put('late', 1)
    await expect(store.commit()).rejects.toMatchObject({ code: 'FENCED' })
    await expect(store.commit()).rejects.toMatchObject({ code: 'FENCED' })
    await advance(successor, 12, acknowledged)
    await store.close()
    await successor.close()
    expect(acknowledged.length).toBe(12)
    await verifyHistory(storage, acknowledged, 12)
  })

  test('a follower beside the owner sees each version whole, across folds and a take-over', async () => {
    const storage = make()
    let store = await open(storage)
    const follower = await open(storage, { mode: 'follower' })
    for (const i of [1, 4, 6, 7]) {
      await advance(store, i, [])
      if (i === 4) await store.checkpoint()
      if (i === 6) {
        await store.close()
        store = await open(storage)
      }
      await follower.refresh()
      expect(reached(follower)).toBe(i)
      expect(await contents(follower)).toEqual(stateAfter(i))
    }
    await follower.close()
    await store.close()
  })

  test('of two that open it at once both may, one owns it in the end, and nothing acknowledged is lost', async () => {
    const storage = make()
    const acknowledged: Acknowledged[] = []
    const first = await open(storage)
    await advance(first, 2, acknowledged)
    await first.close()
    const rivals = await Promise.all([persist(() => open(storage)), persist(() => open(storage))])
    const ends = await Promise.allSettled(
      rivals.map(async (rival) => {
        rival.put(`step ${3 % 5}`, 3)
        return rival.commit()
      }),
    )
    const failures = ends.flatMap((end) => (end.status === 'rejected' ? [(end.reason as { code?: string }).code] : []))
    expect(failures).toEqual(['FENCED'])
    await Promise.all(rivals.map((rival) => rival.close()))
    const store = await open(storage)
    expect(await store.get('step 3')).toBe(3)
    expect(store.version).toBeGreaterThan(acknowledged.at(-1)!.version)
    await store.close()
  })

  test('commits whose replies are lost are in the history once', async () => {
    const storage = make()
    let appends = 0
    const doubtful = faulty(storage, ({ method }) =>
      method === 'append' && ++appends % 2 === 0 ? (appends % 4 === 0 ? 'unknown-before' : 'error-after') : undefined,
    )
    await probe(memory(), 'history/0', hastyClock, doubtful)
    const acknowledged: Acknowledged[] = []
    const store = await open(doubtful)
    await advance(store, 6, acknowledged)
    await store.close()
    expect(appends).toBeGreaterThan(6)
    await verifyHistory(storage, acknowledged, 6)
  })

  test('damaged segments are told of, and what they held is read from the log', async () => {
    const storage = make()
    const store = await open(storage)
    await advance(store, 3, [])
    await store.checkpoint()
    await advance(store, 4, [])
    const segments = live(store)
    await store.close()
    expect(segments.length).toBeGreaterThan(0)
    for (const segment of segments) await ruin(storage, segment)
    const again = await open(storage)
    const told: string[] = []
    again.on('repaired', ({ message }) => told.push(message))
    expect(reached(again)).toBe(4)
    expect(await contents(again)).toEqual(stateAfter(4))
    expect(told.length).toBeGreaterThan(0)
    await again.close()
  })

  test('a storage that was emptied is told apart from a new one', async () => {
    const store = await open(make())
    await advance(store, 2, [])
    const { version } = store
    await store.close()
    await expect(open(make(), { expectAtLeast: version })).rejects.toMatchObject({ code: 'ROLLED_BACK' })
  })
}
