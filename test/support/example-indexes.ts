/** A golden set of indexes, of values of a later version, and of a writer that has closed its store. */
import { openStore } from 'tidemark'
import { memory } from 'tidemark/memory'
import { atOnce } from '../../src/testing/at-once.js'
import { dump, movedClock, type Example } from './example.js'

interface Row {
  readonly n: number
  readonly tags?: readonly string[]
  readonly mail?: string
}

export async function writeIndexes(): Promise<Example> {
  const storage = atOnce(memory())
  const clock = movedClock({ now: 1_700_000_000_000 })
  const settings = { storage, name: 'indexed', clock, deflateLevel: 0, partitions: 2, mode: 'shared' } as const
  const first = await openStore({ ...settings })
  const plain = first.table<number, Row>('rows')
  for (let i = 0; i < 20; i++) plain.put(i, { n: i % 7 })
  await first.commit()
  await first.close()
  const store = await openStore({ ...settings })
  const rows = store.table<number, Row>('rows', {
    indexes: {
      byN: (row) => row.n,
      byTag: { key: (row) => row.tags, many: true },
      byMail: { key: (row) => row.mail, unique: true },
    },
  })
  await rows.set(-1, { n: 7, tags: ['x', 'y'], mail: 'a@' }, { ttlMs: 1000 })
  rows.deleteRange({ gte: 0 })
  await store.commit()
  await store.checkpoint()
  const later = store.table('later', { version: 2, upgrade: (value: unknown) => value })
  await later.set('k', 'value')
  await store.close()
  return { storage, objects: await dump(storage, ['indexed']) }
}
