/** Rule G6 of docs/protocol.md where members are of several releases: the version of the function by which a group decides. */
import type { Clock, Storage } from 'tidemark'
import { joinGroup } from 'tidemark/group'
import { expect } from 'vitest'
import { StoreHandle } from '../../src/store/handle.js'
import { resolveOptions } from '../../src/store/open-options.js'
import { Store } from '../../src/store/store.js'
import { edit, rule } from '../support/mutated.js'
import type * as Groups from '../support/groups.js'
import { groupOf, memberOf, named } from '../support/group-states.js'
import type * as Transitions from '../../src/group/transitions.js'

rule<typeof Transitions>(
  'G6',
  'the recorded version rises once all members know it, and not before',
  [edit('src/group/transitions.ts', 'Math.min(...known)', 'Math.max(...known)')],
  async ({ join, left, leave }) => {
    const old = groupOf({ members: { a: {} }, shards: [{}] })
    const mixed = join(old, memberOf('b', { assignVersion: 2 }))
    expect(mixed.settings.assignVersion).toBe(1)
    const newer = left(leave(mixed, named('a')), named('a'))
    expect(newer.settings.assignVersion).toBe(2)
    await Promise.resolve()
  },
  { module: 'src/group/transitions.ts' },
)

type Row = Record<string, unknown>

/** The control store, as a member of a newer release writes it. */
async function write(storage: Storage, clock: Clock, change: (row: Row, key: string) => Row): Promise<void> {
  const options = resolveOptions({ storage, name: 's', mode: 'shared', partitions: 1, clock, logger: false })
  const handle = await StoreHandle.open({ ...options, folder: 'group' })
  const store = new Store<string, Row>(handle, handle.spec('', options.table))
  await store.transaction(async (tx) => {
    for await (const [key, row] of tx.entries()) tx.put(key, change(row, key))
  })
  await store.close()
}

rule<typeof Groups>(
  'G6',
  'who does not know the recorded version decides nothing',
  [
    edit('src/group/member.ts', 'if (state.settings.assignVersion !== ASSIGN_VERSION) return state', ''),
    edit('src/group/rows.ts', 'if (assignVersion > ASSIGN_VERSION)', 'if (assignVersion < 0)'),
  ],
  async ({ inWorld, LEASE }) => {
    const owners: unknown[] = []
    const joined: string[] = []
    await inWorld(async (world) => {
      const a = world.member('a', {}, () => world.pass(1e9))
      await world.until(() => world.said.length > 0)
      const { clock } = world.sim
      const storage = world.sim.storage(world.storage)
      const found: unknown[] = []
      await write(storage, clock, (row, key) => {
        if (key === 'settings') return { ...row, assignVersion: 2 }
        const { owner: _, ...free } = row
        return key.startsWith('shard/') ? free : row
      })
      const b = world.sim.actor('b', async (me) => {
        const joining = joinGroup(world.options(me))
        joined.push(
          await joining.then(
            () => 'joined',
            ({ code }: { readonly code: string }) => code,
          ),
        )
      })
      await world.pass(3 * LEASE)
      await write(storage, clock, (row, key) => {
        if (key.startsWith('shard/')) found.push(row['owner'])
        return row
      })
      owners.push(...found)
      for (const each of [a, b]) world.sim.crash(each)
    })
    expect(owners).toEqual([undefined])
    expect(joined).toEqual(['UNSUPPORTED_FORMAT'])
  },
  { module: 'test/support/groups.ts' },
)
