/** Small stores that are pushed and pulled. */
import { openStore, type OpenOptions, type Storage, type Store } from 'tidemark'
import { collect } from './storages.js'

export const TINY = { checkpoint: { entries: 4, bytes: 2000 }, segmentBytes: 400, blockBytes: 80 }

export const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
  openStore({ storage, name: 's', ...TINY, ...options })

export async function contents(store: Pick<Store, 'entries'>): Promise<Record<string, unknown>> {
  return Object.fromEntries(await collect(store.entries())) as Record<string, unknown>
}

/** The contents that a reader finds: those of the newest version, or of a tag. */
export async function found(storage: Storage, name: string, at?: string): Promise<Record<string, unknown>> {
  const store = await openStore({ storage, name, mode: 'follower' })
  try {
    return await contents(at === undefined ? store : await store.at(at))
  } finally {
    await store.close()
  }
}

/** Commits a few more; every fifth is large and goes by reference. */
export async function fill(store: Store, first: number, last: number): Promise<void> {
  for (let i = first; i <= last; i++) {
    store.put('same', i)
    store.put(`k${i}`, `${i} `.repeat(i % 5 === 0 ? 900 : 10))
    if (i % 3 === 0) store.delete(`k${i - 2}`)
    await store.commit({ offsets: { src: i }, label: `commit ${i}`, meta: { i } })
  }
}
