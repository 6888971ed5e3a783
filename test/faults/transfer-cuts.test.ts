/** Transfers that are cut, or fail, at each call of the target's storage; what is copied comes from a store that is whole. */
import { cpSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { isTidemarkError, openStore, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { cuts, worldOver, type Decide, type Point, type World } from 'tidemark/testing'
import { verify } from 'tidemark/tools'
import { backups, exportZip, importZip, push } from 'tidemark/transfer'
import { contents, hastyClock, hurriedClock, open, persist, advance } from '../support/history.js'
import { thinned } from '../support/extent.js'
import { collect, temporaryFolder } from '../support/storages.js'

const source = { storage: memory(), name: 'history' }
/** The contents of the source when it was pushed first, and now, with their versions there. */
const held: { version: number; contents: Map<string, unknown> }[] = []
let zip: Uint8Array

beforeAll(async () => {
  for (const last of [13, 19]) {
    const store = await open(source.storage, { segmentBytes: 4000, blockBytes: 1000 })
    await advance(store, last, [])
    held.push({ version: store.version, contents: await contents(store) })
    await store.close()
  }
  zip = new Uint8Array(Buffer.concat(await collect(exportZip(source))))
})

const clock = hastyClock
const at = (storage: Storage): { storage: Storage; name: string } => ({ storage, name: 'copy' })
const first = (storage: Storage) => push(source, at(storage), { at: held[0]!.version, tag: 'one', clock })
const second = (storage: Storage) => push(source, at(storage), { tag: 'two', keep: 1, clock })

/** Like `worldOver`; that probing may be cut anywhere is shown elsewhere. */
function world(make: () => Storage, methods?: readonly string[]): (decide: Decide) => Promise<World> {
  return (decide) => {
    let index = 0
    const isLeftOut = ({ path, method }: Point): boolean =>
      path.includes('/probe-') || methods?.includes(method) === false
    return worldOver(make)((point) => (isLeftOut(point) ? undefined : decide({ ...point, index: index++ })))
  }
}

/** The contents of what is there; `undefined` when there is no store. */
async function seen(storage: Storage): Promise<Map<string, unknown> | undefined> {
  try {
    const store = await openStore({ ...at(storage), mode: 'follower', clock })
    try {
      return await contents(store)
    } finally {
      await store.close()
    }
  } catch (error) {
    if (isTidemarkError(error) && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}

describe('cut at every call of the target,', () => {
  test('a push shows what was there or all of the new version, and the next one finishes it', async () => {
    const result = await cuts<number>({
      makeWorld: world(() => memory()),
      ways: ['reply-lost', 'error-before', 'error-after'],
      only: thinned(['reply-lost', 'error-before', 'error-after'], 3),
      async scenario(storage, notes) {
        await persist(() => first(storage))
        notes.push(0)
        await persist(() => second(storage))
        notes.push(1)
      },
      async verify(storage, notes) {
        const found = await seen(storage)
        const done = notes.length
        const possible = [undefined, ...held.map((one) => one.contents)].slice(done, done + 2)
        expect(possible).toContainEqual(found)
        if (done === 0) {
          await first(storage).catch((error: unknown) => expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' }))
        }
        const { version, from } = await second(storage)
        expect(from).toBe(held[1]!.version)
        expect(await seen(storage)).toEqual(held[1]!.contents)
        expect(await backups(at(storage))).toMatchObject([{ name: 'two', version }])
        expect((await verify(at(storage), { clock })).damages).toEqual([])
        const owner = await openStore({ ...at(storage), clock })
        owner.put('on', 1)
        await owner.commit()
        expect(await owner.get('on')).toBe(1)
        await owner.close()
      },
    })
    console.log(`cut points of a push: ${result.points}, runs: ${result.runs}, missed: ${result.missed}`)
    expect(result.points).toBeGreaterThan(50)
  })

  test('a push into files, cut at every write, does, too', async () => {
    const template = temporaryFolder()
    await first(nodeFs(template))
    const result = await cuts<number>({
      makeWorld: world(() => {
        const folder = temporaryFolder()
        cpSync(template, folder, { recursive: true })
        return nodeFs(folder, { clock: hurriedClock })
      }, ['put', 'append', 'claim', 'swap', 'delete']),
      ways: ['reply-lost'],
      scenario: async (storage, notes) => notes.push((await second(storage)).version),
      async verify(storage, notes) {
        const possible = held.map((one) => one.contents).slice(notes.length)
        expect(possible).toContainEqual(await seen(storage))
        await second(storage)
        expect(await seen(storage)).toEqual(held[1]!.contents)
        expect((await backups(at(storage))).map(({ name }) => name)).toEqual(['two'])
      },
    })
    expect(result.points).toBeGreaterThan(5)
  })

  test('an import shows nothing or all of its version, and the next one finishes it', async () => {
    const load = (storage: Storage) => importZip(zip, at(storage), { clock })
    const result = await cuts<number>({
      makeWorld: world(() => memory()),
      ways: ['reply-lost', 'error-before'],
      only: thinned(['reply-lost', 'error-before'], 3),
      async scenario(storage, notes) {
        await load(storage)
        notes.push(0)
      },
      async verify(storage, notes) {
        const found = await seen(storage)
        if (notes.length > 0) expect(found).toBeDefined()
        if (found === undefined) await load(storage)
        expect(await seen(storage)).toEqual(held[1]!.contents)
        expect((await verify(at(storage), { clock })).damages).toEqual([])
        expect((await push(source, at(storage), { clock })).bytes).toBe(0)
      },
    })
    expect(result.points).toBeGreaterThan(20)
    expect(result.missed).toBe(0)
  })
})
