import { describe, expect, test } from 'vitest'
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { cuts, WAYS, type Decide, type Way, type World } from 'tidemark/testing'
import { fileStorage } from '../../adapters/node-fs/storage.js'
import type { Method } from '../../src/storage/intercept.js'
import { probe } from '../../src/storage/probe.js'
import {
  advance,
  hastyClock,
  hurriedClock,
  open,
  persist,
  verifyHistory,
  type Acknowledged,
} from '../support/history.js'
import { thinned } from '../support/extent.js'
import { ModelFs, type Verdict } from '../support/model-fs.js'

const LAST = 9
/** Folds so often that runs are merged within few commits. */
const OFTEN = { checkpoint: { entries: 2, bytes: 2_000 } }
const MERGE_FROM = 14
const MERGE_TO = 18

/** Opens, commits, folds, closes, opens again and goes on. */
async function life(storage: Storage, acknowledged: Acknowledged[]): Promise<void> {
  const store = await persist(() => open(storage))
  await advance(store, 5, acknowledged)
  await persist(() => store.checkpoint())
  await store.close()
  const again = await persist(() => open(storage))
  await advance(again, LAST, acknowledged)
  await persist(() => again.close())
}

const VERDICTS: Record<Way, Verdict> = {
  'never-sent': 'never-sent',
  'reply-lost': 'reply-lost',
  'error-before': { before: 'EIO' },
  'error-after': { after: 'EIO' },
}

/** A disk whose calls are asked about; `lose` says what becomes of it when the process is gone. */
function worldOf(
  lose: (disk: ModelFs) => ModelFs,
  make: () => ModelFs = () => new ModelFs(),
): (decide: Decide) => Promise<World> {
  return async (decide) => {
    const disk = make()
    const fs = disk.process({
      onStep({ call, path, index }) {
        const fault = decide({ index, target: 'storage', method: call as Method, path })
        return fault === undefined ? undefined : VERDICTS[fault as Way]
      },
    })
    const storage = fileStorage(fs, '/disk', hurriedClock)
    // The probe is cut in a test of its own; here every cut is in the life of the store.
    await probe(memory(), 'history/0', hastyClock, storage)
    return { storage, reopen: () => fileStorage(lose(disk).process(), '/disk', hurriedClock) }
  }
}

describe('a store on nodeFs() over a disk that loses what was not synced, cut at every file system call in four ways', () => {
  let seed = 1
  test.each<[string, readonly Way[], (disk: ModelFs) => ModelFs]>([
    ['power loss', WAYS, (disk) => disk.crash({ seed: seed++ })],
    // Errors are tried above; without a power loss only the end of the process differs.
    ['the end of the process', ['never-sent', 'reply-lost'], (disk) => disk.kill()],
  ])('loses nothing acknowledged by %s, shows one version whole, and goes on', async (what, ways, lose) => {
    const result = await cuts<Acknowledged>({
      ways,
      only: thinned(ways, 8),
      makeWorld: worldOf(lose),
      scenario: life,
      verify: (storage, acknowledged) => verifyHistory(storage, acknowledged, LAST),
    })
    console.log(`cut points on nodeFs(), ${what}: ${result.points}, runs: ${result.runs}, missed: ${result.missed}`)
    expect(result.points).toBeGreaterThan(100)
    expect(result.missed).toBe(0)
  })

  test('loses nothing by power loss while runs are merged', async () => {
    // As many runs as a merge takes, but for one; made once, and copied by a crash that finds nothing to take.
    const template = new ModelFs()
    const made = await open(fileStorage(template.process(), '/disk', hurriedClock), OFTEN)
    await advance(made, MERGE_FROM, [])
    expect(made.metrics().compactions).toBe(0)
    await made.close()

    let undisturbed = true
    const result = await cuts<Acknowledged>({
      only: thinned(WAYS, 12),
      makeWorld: worldOf(
        (disk) => disk.crash({ seed: seed++ }),
        () => template.crash({ seed: 1 }),
      ),
      async scenario(storage, acknowledged) {
        const store = await persist(() => open(storage, OFTEN))
        await advance(store, MERGE_TO, acknowledged)
        await persist(() => store.close())
        if (undisturbed) expect(store.metrics().compactions).toBeGreaterThan(0)
        undisturbed = false
      },
      verify: (storage, acknowledged) => verifyHistory(storage, acknowledged, MERGE_TO),
    })
    console.log(
      `cut points on nodeFs(), around a merge: ${result.points}, runs: ${result.runs}, missed: ${result.missed}`,
    )
    expect(result.points).toBeGreaterThan(50)
    expect(result.missed).toBe(0)
  })
})
