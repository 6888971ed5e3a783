import { describe, expect, test } from 'vitest'
import { isTidemarkError, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty, type Fault } from 'tidemark/testing'
import { probe } from '../../src/storage/probe.js'
import { advance, hastyClock, open, persist, reached, verifyHistory, type Acknowledged } from '../support/history.js'

const LAST = 10
/** The time-out of the storage, by a clock that runs twenty times as fast. */
const TIMEOUT = { timeoutMs: 300 }

async function life(storage: Storage, acknowledged: Acknowledged[]): Promise<void> {
  const store: Store = await persist(() => open(storage, TIMEOUT))
  await advance(store, 6, acknowledged)
  await persist(() => store.checkpoint())
  await store.close()
  const again = await persist(() => open(storage, TIMEOUT))
  await advance(again, LAST, acknowledged)
  expect(reached(again)).toBe(LAST)
  await again.close()
}

describe('a storage that leaves one call without an answer', () => {
  test.each<Fault & string>(['never-sent', 'reply-lost'])(
    'holds nothing up for good, and nothing is lost: %s',
    async (fault) => {
      let points = 0
      // The first run, which leaves nothing unanswered, counts the calls.
      for (let at = -1; at < points; at++) {
        const inner = memory()
        let calls = 0
        const storage = faulty(inner, ({ index }) => {
          calls = index + 1
          return index === at ? fault : undefined
        })
        await probe(memory(), 'history/0', hastyClock, storage)
        const acknowledged: Acknowledged[] = []
        try {
          await life(storage, acknowledged)
        } catch (error) {
          throw new Error(`call ${at}: ${isTidemarkError(error) ? error.code : ''} ${String(error)}`, { cause: error })
        }
        if (at < 0) points = calls
        await verifyHistory(inner, acknowledged, LAST)
      }
      console.log(`${points} calls left without an answer, one after another: ${fault}`)
      expect(points).toBeGreaterThan(30)
    },
  )
})
