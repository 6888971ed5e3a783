/** Rules R55 and R56 of docs/protocol.md: copies of a store. */
import { expect } from 'vitest'
import type { Storage } from 'tidemark'
import { edit, rule } from '../support/mutated.js'
import { code, open, put } from '../support/rule-stores.js'

rule(
  'R55',
  'a copied segment gets a new name',
  [
    edit(
      'src/transfer/receiver.ts',
      'const copy = { ...segment, id, log, name: segmentName(log, id) }',
      'const copy = { ...segment, log, name: segmentName(log, segment.id) }',
    ),
  ],
  async (sources) => {
    const [from, to] = [sources.memory(), sources.memory()]
    const store = await open(sources, from)
    await put(store, 'a', 1)
    await store.checkpoint()
    await put(store, 'b', 1)
    await sources.push({ storage: from, name: 's' }, { storage: to, name: 's' })
    const names = async ({ blobs }: Storage): Promise<string[]> =>
      (await blobs.list('s/')).items.flatMap(({ name }) => (name.includes('/seg/') ? [name.split('/').at(-1)!] : []))
    const copied = await names(to)
    expect(copied.length).toBeGreaterThan(0)
    const known = await names(from)
    expect(copied.filter((name) => known.includes(name))).toEqual([])
    await store.close()
  },
)

rule(
  'R56',
  'a push is refused where the target has versions of its own',
  [edit('src/transfer/ancestry.ts', "'forward' : 'diverged'", "'forward' : 'forward'")],
  async (sources) => {
    const places = [sources.memory(), sources.memory()].map((storage) => ({ storage, name: 's' }))
    const [from, to] = places as [(typeof places)[0], (typeof places)[0]]
    const store = await open(sources, from.storage)
    await put(store, 'a', 1)
    await sources.push(from, to)
    const target = await open(sources, to.storage)
    await put(target, 'a', 2)
    await target.close()
    await put(store, 'a', 3)
    await expect(sources.push(from, to)).rejects.toThrow(code('CONFLICT'))
    await store.close()
  },
)
