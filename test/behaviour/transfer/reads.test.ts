/** What pushes and pulls read of their target, by the meter of its storage. */
import { describe, expect, test } from 'vitest'
import { metered, openStore, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { pull, push, type StorePlace } from 'tidemark/transfer'
import { found } from '../../support/transfers.js'

const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
  openStore({ storage, name: 's', segmentBytes: 32 << 10, ...options })

type Changes = readonly (readonly [key: number, round: number])[]

/** Opens the store, commits rounds of changes to it, and closes it. Resolves with their bytes. */
async function committed(
  storage: Storage,
  rounds: readonly Changes[],
  options: Partial<OpenOptions> = {},
): Promise<number> {
  const store = await open(storage, options)
  let bytes = 0
  for (const changes of rounds) {
    for (const [key, round] of changes) {
      store.put(`key ${key}`, { round, text: `${(key * 7919 + round) ** 3}`.repeat(4) })
    }
    bytes += (await store.commit()).bytes
  }
  await store.close()
  return bytes
}

const some = (round: number): Changes => Array.from({ length: 10 }, (_, i) => [i * 3, round])

type Metered = ReturnType<typeof metered>

const shared = { mode: 'shared' } as const

/** Runs, and resolves with how many bytes were read of the storage meanwhile. */
async function readBy<T>(storage: Metered, run: () => Promise<T>): Promise<{ answer: T; read: number }> {
  const before = storage.usage().bytesRead
  const answer = await run()
  return { answer, read: storage.usage().bytesRead - before }
}

const places = (): { here: Metered; there: Storage; local: StorePlace; remote: StorePlace } => {
  const [here, there] = [metered(memory()), memory()]
  return { here, there, local: { storage: here, name: 's' }, remote: { storage: there, name: 's' } }
}

/** A folded store of so many rows, as a page writes it, and its copy. Resolves with the bytes of the rows. */
async function filled(rows: number, { here, local, remote }: ReturnType<typeof places>): Promise<number> {
  const bytes = await committed(here, [Array.from({ length: rows }, (_, key) => [key, 0] as const)], shared)
  const store = await open(here, shared)
  await store.checkpoint()
  await store.close()
  await push(local, remote)
  return bytes
}

describe('pull into a store that tabs write', () => {
  test.each([100, 1_000, 10_000])('reads its tail and what is new, not its %i rows', async (rows) => {
    const world = places()
    const { here, there, local, remote } = world
    const size = await filled(rows, world)
    await committed(there, [some(1)])
    // Who has written it since it was made is read once: until now nobody has fenced it.
    const first = await readBy(here, () => pull(local, remote))
    expect(first.read).toBeLessThan(size + 3 * (1_000 + first.answer.bytes))
    for (const round of [2, 5]) {
      const tail = await committed(here, [some(round), some(round + 1)], shared)
      await push(local, remote)
      await committed(there, [some(round + 2)])
      const { answer, read } = await readBy(here, () => pull(local, remote))
      expect(read).toBeLessThan(3 * (tail + answer.bytes))
      if (rows === 10_000) expect(read).toBeLessThan(size / 50)
      expect(await found(here, 's')).toEqual(await found(there, 's'))
    }
  })

  test('is refused by its newest entry while the tab that wrote that is open', async () => {
    const world = places()
    const { here, there, local, remote } = world
    const size = await filled(1_000, world)
    await committed(there, [some(1)])
    const tab = await open(here, shared)
    await push(local, remote, { force: true })
    await committed(there, [some(2)])
    tab.put('here', 1)
    await tab.commit()
    await push(local, remote, { force: true })
    await committed(there, [some(3)])
    const { answer, read } = await readBy(here, () => pull(local, remote).catch((error: unknown) => error))
    expect(answer).toMatchObject({ code: 'CONFLICT' })
    expect(read).toBeLessThan(size / 10)
    await tab.close()
    await pull(local, remote)
    expect(await found(here, 's')).toEqual(await found(there, 's'))
  })

  test('waits for every tab that has written since the newest fence, however long ago', async () => {
    const world = places()
    const { here, there, local, remote } = world
    const [quiet, busy] = [await open(here, shared), await open(here, shared)]
    await quiet.set('quiet', 1)
    for (let i = 0; i < 70; i++) await busy.set('busy', i)
    await busy.close()
    await push(local, remote)
    await committed(there, [some(1)])
    await expect(pull(local, remote)).rejects.toMatchObject({ code: 'CONFLICT' })
    await quiet.close()
    const { items } = await here.blobs.list('s/')
    const marks = items.map(({ name }) => name).filter((name) => name.includes('/closed/'))
    expect(marks).toHaveLength(2)
    await pull(local, remote)
    // The pull was a fence: who wrote before it is in nobody's way, though nothing says any more that they have closed it.
    await here.blobs.delete(marks)
    await committed(here, [some(2)], shared)
    await push(local, remote)
    await committed(there, [some(3)])
    await pull(local, remote)
    expect(await found(here, 's')).toEqual(await found(there, 's'))
  })
})
