/** Reads a store in every way, whoever wrote it. */
import { expect } from 'vitest'
import { openStore, type Storage, type Store } from 'tidemark'
import { verify } from 'tidemark/tools'
import { collect } from './collect.js'

/** Reads all that there is of a store, and goes on writing to it. */
export async function readAll(storage: Storage, name: string): Promise<void> {
  expect(await verify({ storage, name })).toMatchObject({ ok: true, damages: [] })
  const warnings: string[] = []
  const logger = { warn: (message: string): unknown => warnings.push(message) }
  const follower = await openStore({ storage, name, mode: 'follower', logger })
  const entries = await read(follower)
  const versions = await collect(follower.versions())
  expect(versions.at(-1)!.version).toBe(follower.version)
  for (const { version } of versions) await readOld(follower, version)
  for (const tag of await follower.tags()) {
    const { version } = await readOld(follower, tag.name)
    expect(version).toBe(tag.version)
  }
  await follower.close()
  const owner = await openStore({ storage, name, mode: 'exclusive', force: true, logger })
  expect(await read(owner)).toEqual(entries)
  owner.put('written later', 1)
  await owner.commit()
  await owner.checkpoint()
  await owner.maintain({ minDeletes: 1 })
  owner.put('in the tail', 2)
  await owner.commit()
  await owner.close()
  expect(await verify({ storage, name })).toMatchObject({ ok: true, damages: [] })
  const again = await openStore({ storage, name, mode: 'follower' })
  expect([await again.get('written later'), await again.get('in the tail')]).toEqual([1, 2])
  expect((await read(again)).filter(([, key]) => key !== 'written later' && key !== 'in the tail')).toEqual(entries)
  await again.close()
  expect(warnings).toEqual([])
}

type View = Pick<Store, 'entries' | 'partition' | 'partitions'>
type Row = readonly [partition: number, key: unknown, value: unknown]

/** Every key by iterating, and again by asking for it in its partition. */
async function read(view: View): Promise<Row[]> {
  const rows: Row[] = []
  for (let i = 0; i < view.partitions; i++) {
    const partition = view.partition(i)
    for await (const [key, value] of partition.entries()) {
      expect(await partition.get(key)).toEqual(value)
      rows.push([i, key, value])
    }
  }
  expect((await collect(view.entries())).length).toBe(rows.length)
  return rows
}

async function readOld(store: Store, when: string | number): Promise<{ readonly version: number }> {
  const snapshot = await store.at(when)
  const { version } = snapshot
  await read(snapshot)
  await snapshot.close()
  return { version }
}
