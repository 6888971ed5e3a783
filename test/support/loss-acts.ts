/** The acts that are tried on a store after it has lost something. */
import { expect } from 'vitest'
import type { OpenOptions } from 'tidemark'
import { memory } from 'tidemark/memory'
import { destroyStore, listStores, verify } from 'tidemark/tools'
import { push } from 'tidemark/transfer'
import { NAME, advance, change, contents, longClock, open, quickClock, reached, type Trial } from './loss-trial.js'

const opening =
  (options: Partial<OpenOptions>) =>
  async (trial: Trial): Promise<void> => {
    const store = await trial.attempt(() => open(trial.world.storage, { force: true, ...options }))
    let last = trial.given.age
    if (store) {
      const isNewest = await trial.look(store)
      if (options.mode !== 'follower' && isNewest) {
        change(store, ++last)
        await trial.attempt(() => store.commit({ offsets: { i: last } }), true)
        last = reached(store)
      }
      await store.close()
      if (!isNewest) return
    }
    await trial.putBack(last)
  }

export const ACTS: Readonly<Record<string, (trial: Trial) => Promise<void>>> = {
  'open an existing one': opening({ create: false }),
  follow: opening({ mode: 'follower' }),
  share: opening({ mode: 'shared' }),
  open: opening({}),

  async collect(trial) {
    const { storage } = trial.world
    const options = { clock: longClock(), retain: { versions: 1 }, create: false, force: true }
    const store = await trial.attempt(() => open(storage, options))
    if (!store) {
      await trial.putBack(trial.given.age)
      return
    }
    const isNewest = await trial.look(store)
    const rounds = 4
    for (let i = 1; isNewest && i <= rounds; i++) {
      await trial.attempt(async () => {
        await advance(store, reached(store) + 1, reached(store) + 1)
        await store.checkpoint()
        await store.maintain({ minDeletes: 1 })
      }, true)
    }
    const last = reached(store)
    await store.close()
    if (isNewest) await trial.putBack(last, true)
  },

  async create(trial) {
    const { storage } = trial.world
    const { code } = await open(storage, { create: true }).then(
      async (store) => {
        await store.close()
        return { code: 'made' }
      },
      (error: unknown) => error as { code: string },
    )
    expect(trial.isNothingLeft ? ['made'] : ['INVALID_ARGUMENT', 'CORRUPT']).toContain(code)
    if (code === 'made') return
    expect(await trial.world.dump(NAME)).toEqual(trial.given.left)
    await trial.putBack(trial.given.age)
  },

  async reopen(trial) {
    const { world, given } = trial
    // Before the loss, so that the handle knows of more than is left.
    await world.put(new Map([...given.whole].filter(([name]) => given.lost.has(name))))
    const store = await open(world.storage, { mode: 'follower' })
    await world.lose([...given.lost])
    const isOpen = await trial.attempt(async () => {
      await store.reopen()
      return true
    })
    if (isOpen) await trial.look(store)
    await store.close()
    await trial.putBack(given.age)
  },

  async verify(trial) {
    const { world, given } = trial
    const report = await trial.attempt(() => verify({ storage: world.storage, name: NAME }, { clock: quickClock }))
    expect(await world.dump(NAME)).toEqual(given.left)
    if (report?.ok) {
      const store = await open(world.storage, { mode: 'follower' })
      await trial.look(store)
      await store.close()
    }
    await trial.putBack(given.age)
  },

  async list(trial) {
    const stores = await listStores(trial.world.storage)
    for (const { name } of stores) expect(name).toBe(NAME)
    expect(await trial.world.dump(NAME)).toEqual(trial.given.left)
    await trial.putBack(trial.given.age)
  },

  async destroy(trial) {
    const { storage } = trial.world
    const destroyed = destroyStore({ storage, name: NAME }, { force: true })
    if (trial.isNothingLeft) await expect(destroyed).rejects.toMatchObject({ code: 'NOT_FOUND' })
    else await destroyed
    await expect(open(storage, { create: false })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await listStores(storage)).toEqual([])
    const store = await open(storage, { create: true })
    expect(await contents(store)).toEqual({})
    await store.close()
  },

  async push(trial) {
    const { storage } = trial.world
    const other = memory()
    const source = await open(other, { name: 'source' })
    source.put('newest', 'pushed')
    await source.commit()
    await source.close()
    const from = { storage: other, name: 'source' }
    const to = { storage, name: NAME }
    const pushed = await trial.attempt(() => push(from, to, { force: true, clock: quickClock }), true)
    if (pushed === undefined) {
      await trial.putBack(trial.given.age)
      return
    }
    const store = await open(storage, { mode: 'follower' })
    expect(await contents(store)).toEqual({ newest: 'pushed' })
    await store.close()
  },

  async fork(trial) {
    const { storage } = trial.world
    const parent = await trial.attempt(() => open(storage, { create: false, force: true }))
    if (parent) {
      const i = reached(parent)
      if (i !== trial.given.age) {
        await parent.close()
        return
      }
      const forked = await trial.attempt(async () => {
        await parent.fork('child')
        return true
      }, true)
      await parent.close()
      if (forked) {
        const child = await open(storage, { name: 'child', mode: 'follower' })
        await trial.look(child)
        await child.close()
      }
    }
    await trial.putBack(trial.given.age)
  },

  async 'fork to its name'(trial) {
    const { storage } = trial.world
    const parent = await open(storage, { name: 'parent' })
    parent.put('newest', 'parent')
    await parent.commit()
    const error: unknown = await parent.fork(NAME).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    await parent.close()
    if (trial.isNothingLeft) {
      expect(error).toBe(undefined)
      return
    }
    expect(['INVALID_ARGUMENT', 'CORRUPT']).toContain((error as { code?: string } | undefined)?.code)
    expect(await trial.world.dump(NAME)).toEqual(trial.given.left)
    await trial.putBack(trial.given.age)
  },
}
