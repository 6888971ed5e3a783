/** Groups in virtual time with programs of their own: one whose state shows at once that it is not of its offset, one of agents that throw. */
import { openStore } from 'tidemark'
import type { Group, HandlerContext } from 'tidemark/group'
import type { Actor } from 'tidemark/testing'
import { sleep } from '../../src/clock.js'
import { World } from './groups.js'

/** Each event puts what is not there, and deletes what is: a state that is not of its offset is seen at once. */
export class Toggling extends World {
  /** The offsets of the commits, in their order. */
  readonly offsets: number[] = []
  wrong = 0
  next = 0

  override async run(group: Group, me: Actor): Promise<void> {
    const { events } = this
    const source = {
      name: 'events',
      async *read(_: number, from: unknown) {
        for (let offset = Number(from ?? 0); offset < events; offset++)
          yield await Promise.resolve({ offset, value: 0 })
      },
    }
    const handler = async (
      { offset }: { readonly offset: number },
      state: { get(key: string): Promise<unknown>; put(key: string, value: number): void; delete(key: string): void },
    ): Promise<void> => {
      await sleep(me.clock, 300)
      const isOn = (await state.get('lamp')) !== undefined
      if (isOn !== (offset % 2 === 1)) this.wrong++
      if (isOn) state.delete('lamp')
      else state.put('lamp', offset)
    }
    await group.run(source as never, handler as never, {
      everyMs: 700,
      onProgress: ({ offsets }) => {
        this.next = Number(Object.values(Object(offsets['events']) as object)[0] ?? offsets['events'])
        this.offsets.push(this.next)
      },
    })
  }

  async isOn(): Promise<boolean> {
    const { clock } = this.sim
    const storage = this.sim.storage(this.storage)
    const store = await openStore({ storage, name: 's', mode: 'follower', clock, logger: false })
    const value = await store.get('lamp')
    await store.close()
    return value !== undefined
  }
}

/** Its source has other partitions than the store, or a handler of it throws. */
export class Agents extends World {
  sourcePartitions: number | undefined
  throwsIn: number | undefined
  readonly handled: { readonly by: string; readonly key: string; readonly shard: HandlerContext['shard'] }[] = []

  override async run(group: Group, me: Actor): Promise<void> {
    const { events, sourcePartitions, throwsIn, handled, partitions } = this
    const count = sourcePartitions ?? partitions
    const source = {
      name: 'events',
      ...(sourcePartitions && { partitions: sourcePartitions }),
      async *read(partition: number, from: unknown) {
        for (let offset = Number(from ?? 0); offset < events; offset++) {
          const which = partition + offset * count
          const key = sourcePartitions ? `k${which}` : String(partition)
          yield await Promise.resolve({ offset, key, value: which })
        }
      },
    }
    const handler = async (
      { key }: { readonly key: string },
      state: { put(key: string, value: number): void },
      _: unknown,
      { shard }: HandlerContext,
    ): Promise<void> => {
      await sleep(me.clock, 50)
      if (throwsIn !== undefined && key === String(throwsIn)) throw new Error('it cannot be handled')
      handled.push({ by: me.name, key, shard })
      state.put(key, 1)
    }
    await group.run(source as never, handler as never, { everyMs: 200 })
  }
}
