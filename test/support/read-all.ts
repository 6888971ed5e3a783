/** Reads a store in every way, whoever wrote it. */
import { expect } from 'vitest'
import { openStore, type Storage, type Store } from 'tidemark'
import { verify } from 'tidemark/tools'
import { collect } from './collect.js'

/** Reads all that there is of a store, and goes on writing to it. */
export async function readAll(storage: Storage, name: string): Promise<void> {
  expect(await verify({ storage, name })).toMatchObject({ ok: true, damages: [] })
  const follower = await openStore({ storage, name, mode: 'follower' })
  const entries = await read(follower)
  const versions = await collect(follower.versions())
  expect(versions.at(-1)!.version).toBe(follower.version)
  for (const { version } of versions) await readOld(follower, version)
  for (const tag of await follower.tags()) {
    const { version } = await readOld(follower, tag.name)
    expect(version).toBe(tag.version)
  }
  await follower.close()
  const owner = await openStore({ storage, name, mode: 'exclusive', force: true })
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
  const added = new Map([...entries, ['written later', 1], ['in the tail', 2]])
  expect(new Set((await read(again)).keys())).toEqual(new Set(added.keys()))
  await again.close()
}

/** Every key by iterating, and again by asking for it. */
async function read(
  view: Pick<Store, 'entries' | 'get'> & { readonly partitions: number },
): Promise<Map<unknown, unknown>> {
  const entries = new Map(await collect(view.entries()))
  for (const [key, value] of entries) if (view.partitions === 1) expect(await view.get(key)).toEqual(value)
  return entries
}

async function readOld(store: Store, when: string | number): Promise<{ readonly version: number }> {
  const snapshot = await store.at(when)
  const { version } = snapshot
  await read(snapshot)
  await snapshot.close()
  return { version }
}
