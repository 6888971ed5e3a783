import { describe, expect, test } from 'vitest'
import { isTidemarkError, openStore, type Storage } from 'tidemark'
import { cuts, type Decide, type Way } from 'tidemark/testing'
import { destroyStore, listStores } from 'tidemark/tools'
import { fileStorage } from '../../adapters/node-fs/storage.js'
import type { Method } from '../../src/storage/intercept.js'
import { thinned } from '../support/extent.js'
import { hurriedClock } from '../support/history.js'
import { ModelFs, type Verdict } from '../support/model-fs.js'
import { briefClock, fillSmall, readDamaged, type Small } from '../support/small-store.js'
import { collect } from '../support/storages.js'

const VERDICTS: Record<Way, Verdict> = {
  'never-sent': 'never-sent',
  'reply-lost': 'reply-lost',
  'error-before': { before: 'EIO' },
  'error-after': { after: 'EIO' },
}
const PLACE = '/disk'
let seed = 1
const powerLoss = (disk: ModelFs): ModelFs => disk.crash({ seed: seed++ })
const endOfProcess = (disk: ModelFs): ModelFs => disk.kill()

const storageOn = (disk: ModelFs): Storage => fileStorage(disk.process(), PLACE, hurriedClock)

async function destroy(storage: Storage): Promise<void> {
  try {
    await destroyStore({ storage, name: 'small' })
  } catch (error) {
    // The one before had finished, but for its answer.
    if (!isTidemarkError(error) || error.code !== 'NOT_FOUND') throw error
  }
}

/** Afterwards there is the whole store, nothing at all, or something that nobody opens and everybody finds. */
async function look(
  storage: Storage,
  small: Small,
  mode: 'exclusive' | 'follower',
): Promise<'whole' | 'part' | 'gone'> {
  const listed = (await listStores(storage)).find(({ name }) => name === 'small')
  if (listed === undefined) {
    const opened = openStore({ storage, name: 'small', mode, create: false, clock: briefClock })
    await expect(opened).rejects.toMatchObject({ code: 'NOT_FOUND' })
    return 'gone'
  }
  const outcome = await readDamaged(storage, small, mode)
  expect([outcome, listed.incomplete]).toEqual(outcome === 'right' ? ['right', undefined] : ['CORRUPT', true])
  return outcome === 'right' ? 'whole' : 'part'
}

/** All files but the generations of the anchor, and what was never given its name. */
async function filesOf(disk: ModelFs): Promise<string[]> {
  const fs = disk.process()
  const walk = async (folder: string): Promise<string[]> => {
    const below = (await fs.entries(folder)).map(async ({ name, kind }) =>
      kind === 'directory' ? walk(`${folder}/${name}`) : [`${folder}/${name}`],
    )
    return (await Promise.all(below)).flat()
  }
  return (await walk(PLACE)).filter((path) => !/\/(?:anchor@\d{16}|@[0-9a-f]{16})$/.test(path))
}

describe('destroyStore on nodeFs(), cut at every file system call', () => {
  test.each<[string, readonly Way[], (disk: ModelFs) => ModelFs, (disk: ModelFs) => ModelFs]>([
    ['power loss', ['reply-lost'], powerLoss, powerLoss],
    // Power loss takes the unsynced writes of the dead process only after another one has relied on them.
    ['the end of the process, and power loss after another has finished', ['reply-lost'], endOfProcess, powerLoss],
  ])('by %s, leaves the store whole or refused, and is finished by another', async (what, ways, lose, loseAgain) => {
    const template = new ModelFs()
    const small = await fillSmall(storageOn(template))
    const found = { whole: 0, part: 0, gone: 0 }
    let disk: ModelFs
    const reopen = (by: (disk: ModelFs) => ModelFs): Storage => storageOn((disk = by(disk)))
    const result = await cuts({
      ways,
      only: thinned(ways, 5),
      makeWorld(decide: Decide) {
        // A crash that finds nothing to take makes a copy.
        disk = template.crash({ seed: 1 })
        const fs = disk.process({
          onStep({ call, path, index }) {
            const fault = decide({ index, target: 'storage', method: call as Method, path })
            return fault === undefined ? undefined : VERDICTS[fault as Way]
          },
        })
        return { storage: fileStorage(fs, PLACE, hurriedClock), reopen: () => reopen(lose) }
      },
      scenario: (storage) => destroyStore({ storage, name: 'small' }),
      async verify(storage, _, cut) {
        const left = await look(storage, small, 'follower')
        found[left]++
        expect(await look(storage, small, 'exclusive')).toBe(left)
        if (cut === undefined) expect(left).toBe('gone')
        await destroy(storage)
        const later = reopen(loseAgain)
        expect(await look(later, small, 'exclusive')).toBe('gone')
        expect((await later.blobs.list('')).items).toEqual([])
        expect(await filesOf(disk)).toEqual([])
        const store = await openStore({ storage: later, name: 'small', create: true, clock: hurriedClock })
        store.put('new', 1)
        await store.commit()
        await store.close()
        const again = await openStore({ storage: reopen(loseAgain), name: 'small', clock: hurriedClock })
        expect(await collect(again.entries())).toEqual([['new', 1]])
        await again.close()
      },
    })
    const { points, runs, missed } = result
    console.log(`cut points of destroyStore on nodeFs(), ${what}: ${points}, runs: ${runs}, missed: ${missed}`, found)
    expect(missed).toBe(0)
    expect(points).toBeGreaterThan(50)
    for (const count of Object.values(found)) expect(count).toBeGreaterThan(0)
  })
})
