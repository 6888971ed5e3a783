/** Many writers of one store, and a group that shares out its shards, on a PostgreSQL server. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isTidemarkError, openStore, retrying, systemClock, type Storage, type Store } from 'tidemark'
import { joinGroup, type Group } from 'tidemark/group'
import { postgres } from 'tidemark/postgres'
import { sleep } from '../../src/clock.js'
import { forAdapter } from '../support/counting.js'
import { extent } from '../support/extent.js'
import { startPostgres, type PostgresServer } from '../support/postgres-server.js'
import { until } from '../support/until.js'

forAdapter('postgres')

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

/** With a pool of its own, as in a process of its own. */
const storageOf = (prefix: string): Storage => postgres(server.pool({ max: 4 }), { prefix })

const WRITERS = 12
const EACH = extent(50, 3)

test(`${WRITERS} writers that increment one key until each has ${EACH} acknowledged count to ${WRITERS * EACH}`, async () => {
  const open = (): Promise<Store<string, number>> =>
    openStore<string, number>({ storage: retrying(storageOf('many_')), name: 'counter', mode: 'shared' })
  const stores = await Promise.all(Array.from({ length: WRITERS }, open))
  await Promise.all(
    stores.map(async (store) => {
      for (let acknowledged = 0; acknowledged < EACH;) {
        try {
          await store.transaction(async (tx) => tx.put('n', ((await tx.get('n')) ?? 0) + 1))
          acknowledged++
        } catch (error) {
          if (!isTidemarkError(error) || error.code !== 'CONFLICT') throw error
        }
      }
    }),
  )
  // Each of them is told.
  await until(() => stores.every(({ version }) => version === stores[0]!.version))
  for (const store of stores) expect(await store.get('n')).toBe(WRITERS * EACH)
  await Promise.all(stores.map((each) => each.close()))
})

const EVENTS = 20
const PARTITIONS = 4

const source = {
  name: 'events',
  partitions: PARTITIONS,
  async *read(_: number, from: unknown) {
    for (let offset = (from as number | undefined) ?? 0; offset < EVENTS; offset++) {
      await sleep(systemClock, 5)
      yield { offset, key: 'n', value: 1 }
    }
  },
}

async function member(begun: string[]): Promise<{ readonly group: Group; readonly done: Promise<unknown> }> {
  const storage = storageOf('group_')
  const group = await joinGroup({
    storage,
    name: 's',
    partitions: PARTITIONS,
    leaseMs: 9_000,
    coolMs: 0,
    logger: false,
  })
  const done = group.run(
    source,
    async (event, state, _, { shard }) => {
      begun.push(`${shard.first} ${event.offset}`)
      state.put('n', (((await state.get('n')) as number | undefined) ?? 0) + 1)
    },
    { everyMs: 20 },
  )
  return { group, done }
}

test('members of a group share shards, hand them over, and split them', { timeout: 170_000 }, async () => {
  const begun: string[] = []
  const a = await member(begun)
  await until(() => begun.length > 5)
  await a.group.rescale({ shards: 2 })
  const b = await member(begun)
  await until(() => b.group.status().owned.length === 1)
  await a.group.leave()
  await a.done
  await until(() => begun.length >= EVENTS * PARTITIONS)
  await b.group.leave()
  await b.done
  const store = await openStore<string, number>({
    storage: storageOf('group_'),
    name: 's',
    mode: 'follower',
    logger: false,
  })
  for (let i = 0; i < PARTITIONS; i++) expect(await store.partition(i).get('n')).toBe(EVENTS)
  await store.close()
})
