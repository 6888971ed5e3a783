/** Copies at a target over time: backups by their tags, and collection beside pushes. */
import { describe, expect, test } from 'vitest'
import { metered, systemClock } from 'tidemark'
import { memory } from 'tidemark/memory'
import { verify } from 'tidemark/tools'
import { backups, keep, pull, push } from 'tidemark/transfer'
import { contents, fill, found, open } from '../../support/transfers.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

describe('collection at the target', () => {
  test('takes nothing from what a push has put there, before, after and between interrupted ones', async () => {
    const hour = 3_600_000
    let ahead = 0
    const clock = {
      ...systemClock,
      now: () => systemClock.now() + ahead,
      monotonic: () => systemClock.monotonic() + ahead,
    }
    const [storage, remote] = [memory(), memory({ clock })]
    const [from, to] = [
      { storage, name: 's' },
      { storage: remote, name: 's' },
    ]
    const store = await open(storage)
    const maintain = async (): Promise<void> => {
      const owner = await open(remote, { retain: { versions: 1 }, clock })
      await owner.maintain()
      await owner.close()
    }
    for (let round = 1; round <= 6; round++) {
      await fill(store, round * 10 - 9, round * 10)
      const stop = new AbortController()
      const interrupted = push(from, to, {
        clock,
        signal: stop.signal,
        onProgress: ({ done }) => (done === 3 ? stop.abort() : undefined),
      })
      await interrupted.catch((error: unknown) => expect(error).toMatchObject({ code: 'ABORTED' }))
      // The uploads of the interrupted push are condemned, and must not be named again.
      if (round % 2 === 0) await maintain()
      await push(from, to, { clock, tag: `round-${round}`, keep: 2 })
      ahead += 2 * hour
      await maintain()
      ahead += 2 * hour
      await maintain()
      expect(await found(remote, 's')).toEqual(await contents(store))
      const { damages, orphans } = await verify(to)
      expect(damages).toEqual([])
      expect(orphans.count).toBeLessThan(60)
    }
    await store.close()
  })
})

describe('backups', () => {
  test('of a machine whose clock is behind count as newer all the same: `keep` goes by versions', async () => {
    const [storage, remote] = [memory(), memory()]
    const [from, to] = [
      { storage, name: 's' },
      { storage: remote, name: 's' },
    ]
    const store = await open(storage)
    for (const i of [0, 1, 2]) {
      await fill(store, i + 1, i + 1)
      const clock = { ...systemClock, now: () => systemClock.now() - i * 60_000 }
      await push(from, to, { clock, tag: `push-${i}`, keep: 2 })
    }
    expect((await backups(to)).map(({ name }) => name)).toEqual(['push-1', 'push-2'])
    expect(await found(remote, 's', 'push-2')).toEqual(await contents(store))
    await store.close()
  })

  test('are tagged by push, chosen by their tag, and kept up to a number; other tags stay', async () => {
    const [storage, remote] = [memory(), memory()]
    const [from, to] = [
      { storage, name: 's' },
      { storage: remote, name: 's' },
    ]
    const store = await open(storage)
    const then = new Map<string, Record<string, unknown>>()
    for (let day = 1; day <= 6; day++) {
      await fill(store, day * 4 - 3, day * 4)
      then.set(`day-${day}`, await contents(store))
      await push(from, to, { tag: `day-${day}`, ...(day === 6 && { keep: 4 }) })
      if (day !== 2) continue
      const copy = await open(remote)
      await copy.tag('by-hand')
      await copy.close()
    }
    const names = async (): Promise<string[]> => (await backups(to)).map(({ name }) => name)
    expect(await names()).toEqual(['by-hand', 'day-3', 'day-4', 'day-5', 'day-6'])
    expect(await keep(to, 2)).toEqual(['day-3', 'day-4'])
    expect(await names()).toEqual(['by-hand', 'day-5', 'day-6'])
    for (const { name, version, time, tagged } of await backups(to)) {
      expect(version).toBeGreaterThan(0)
      expect(tagged).toBeGreaterThanOrEqual(time)
      expect(await found(remote, 's', name)).toEqual(then.get(name === 'by-hand' ? 'day-2' : name))
    }
    await store.close()
    // The backups know all that is here: nothing is lost.
    await pull(from, to, { at: 'day-5' })
    expect(await found(storage, 's')).toEqual(then.get('day-5'))
    const restored = memory()
    await pull({ storage: restored, name: 's' }, to, { at: 'by-hand' })
    expect(await found(restored, 's')).toEqual(then.get('day-2'))
  })

  test('of a name that is taken are refused before anything is copied', async () => {
    const [storage, remote] = [memory(), metered(memory())]
    const [from, to] = [
      { storage, name: 's' },
      { storage: remote, name: 's' },
    ]
    const store = await open(storage)
    await fill(store, 1, 4)
    await push(from, to, { tag: 'a' })
    // Called again it has nothing left to do, as after an interruption at its end.
    expect((await push(from, to, { tag: 'a' })).bytes).toBe(0)
    await fill(store, 5, 8)
    const before = remote.usage().bytesWritten
    await expect(push(from, to, { tag: 'a' })).rejects.toThrow(code('INVALID_ARGUMENT'))
    expect(remote.usage().bytesWritten).toBe(before)
    await push(from, to, { tag: 'b' })
    await expect(keep(to, -1)).rejects.toThrow(code('INVALID_ARGUMENT'))
    await expect(backups({ storage: remote, name: 'none' })).rejects.toThrow(code('NOT_FOUND'))
    await store.close()
  })
})
