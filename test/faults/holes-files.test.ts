/** Stores on files that have lost a file of their log, and the newest anchors with it. */
import { expect, test } from 'vitest'
import { forAdapter } from '../support/counting.js'
import { filesWorld } from '../support/loss-files.js'
import { advance, contents, longClock, NAME, open, stateAfter } from '../support/loss-trial.js'

forAdapter('nodeFs')

const OWNERS = 4
/** More than are read at once where each entry is a request. */
const COMMITS = 40

test('a hole in the log is refused, and nothing is written, whatever the newest anchor is that is left', async () => {
  const life = filesWorld()
  const clock = longClock()
  for (let owner = 0; owner < OWNERS; owner++) {
    const store = await open(life.storage, { clock, checkpoint: { entries: 48 }, retain: { versions: 200 } })
    await advance(store, owner * COMMITS + 1, owner * COMMITS + COMMITS)
    await store.close()
  }
  const whole = await life.dump(NAME)
  const anchors = [...whole.keys()].filter((name) => name.includes('/anchor@'))
  const past = [...whole.keys()].filter((name) => name.includes('/past.'))
  expect([anchors.length, past.length]).toEqual([4, 2])
  let refused = 0
  for (const lost of past) {
    for (let newer = 0; newer < anchors.length; newer++) {
      const gone = new Set([lost, ...anchors.slice(anchors.length - newer)])
      const world = filesWorld()
      await world.put(new Map([...whole].filter(([name]) => !gone.has(name))))
      const before = await world.dump(NAME)
      const store = await open(world.storage, { clock, retain: { versions: 200 } }).catch(async (error: unknown) => {
        expect(error).toMatchObject({ code: 'CORRUPT' })
        expect([...(await world.dump(NAME)).keys()].toSorted()).toEqual([...before.keys()].toSorted())
        refused++
      })
      if (!store) continue
      expect(await contents(store)).toEqual(stateAfter(COMMITS * OWNERS))
      await store.close()
    }
  }
  expect(refused).toBeGreaterThan(2)
})
