import { expect, test } from 'vitest'
import { memory } from 'tidemark/memory'
import { cuts, type Decide, type Way, type World } from 'tidemark/testing'
import { fileStorage } from '../../adapters/node-fs/storage.js'
import type { Method } from '../../src/storage/intercept.js'
import { probe } from '../../src/storage/probe.js'
import {
  clock,
  expectPast,
  expectSound,
  GRACE,
  makePast,
  open,
  settle,
  steadily,
  time,
  type Past,
} from '../support/collect-world.js'
import { thinned } from '../support/extent.js'
import { hurriedClock, persist } from '../support/history.js'
import { ModelFs, type Verdict } from '../support/model-fs.js'

const VERDICTS: Record<Way, Verdict> = {
  'never-sent': 'never-sent',
  'reply-lost': 'reply-lost',
  'error-before': { before: 'EIO' },
  'error-after': { after: 'EIO' },
}

let seed = 1

test.each<[string, readonly Way[], (disk: ModelFs) => ModelFs]>([
  // Power loss may also leave exactly as much as the end of the process alone, so that needs no row of its own.
  ['power loss', ['reply-lost'], (disk) => disk.crash({ seed: seed++ })],
])(
  'a collector on nodeFs(), cut at every file system call, loses nothing of what is kept by %s',
  async (what, ways, lose) => {
    // Made once, and copied by a crash that finds nothing to take.
    const template = new ModelFs()
    const past: Past = await makePast(fileStorage(template.process(), '/disk', hurriedClock))
    const end = time.now

    const makeWorld = async (decide: Decide): Promise<World> => {
      time.now = end
      const disk = template.crash({ seed: 1 })
      const fs = disk.process({
        onStep({ call, path, index }) {
          const fault = decide({ index, target: 'storage', method: call as Method, path })
          return fault === undefined ? undefined : VERDICTS[fault as Way]
        },
      })
      const storage = fileStorage(fs, '/disk', hurriedClock)
      await probe(memory(), 's/0', clock, storage)
      return { storage, reopen: () => fileStorage(lose(disk).process(), '/disk', hurriedClock) }
    }

    const result = await cuts({
      ways,
      only: thinned(ways, 15),
      makeWorld,
      async scenario(storage) {
        const store = await persist(() => open(storage))
        await steadily(store, () => store.maintain())
        time.now += GRACE
        await steadily(store, () => store.maintain())
        await store.close()
      },
      async verify(storage) {
        const store = await open(storage)
        await expectPast(storage, store, past)
        await settle(storage, store)
        await expectPast(storage, store, past)
        await store.close()
        await expectSound(storage)
      },
    })
    console.log(
      `collecting on nodeFs(), ${what}: ${result.points} points, ${result.runs} runs, ${result.missed} missed`,
    )
    expect(result.points).toBeGreaterThan(100)
    expect(result.missed).toBe(0)
  },
)
