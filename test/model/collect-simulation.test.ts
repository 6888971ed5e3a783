import { describe, expect, test } from 'vitest'
import { openStore, systemClock, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { collectors } from '../support/collectors.js'
import { extent } from '../support/extent.js'
import { intercept } from '../../src/storage/intercept.js'

/** That they find what goes wrong where a rule is left out is shown by the tests of those rules (test/protocol). */
const SEEDS = extent(1_500, 60)

describe('owners that collect, take a store from one another and are held up beyond the grace period', () => {
  test(`lose, double and delete nothing: ${SEEDS} seeds`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) await collectors(seed)
  }, 600_000)
})

test('the hint of an anchor that nobody could refresh goes along when entries are removed', async () => {
  let ms = 0
  let refuse = false
  const clock = { ...systemClock, now: () => 1_700_000_000_000 + ms, monotonic: () => ms }
  const storage: Storage = intercept(memory({ clock }), async (call, run) => {
    if (refuse && call.method === 'swap') throw new Error('no swap now')
    // The trim number is in the anchor by then, and this owner ends before it writes anything else there.
    if (call.target === 'log' && call.method === 'remove') refuse = true
    return run(call.signal)
  })
  const options = { storage, name: 's', clock, graceMs: 1_000, retain: { versions: 1 } }
  const first = await openStore(options)
  refuse = true
  for (let i = 0; i < 6; i++) {
    first.put('k', i)
    await first.commit()
    await first.maintain()
  }
  await first.close()
  refuse = false
  // Has nothing to fold, and so nothing to write into the anchor by itself.
  const second = await openStore(options)
  ms += 5_000
  expect((await second.maintain()).deleted.entries).toBeGreaterThan(0)
  await second.close()
  refuse = false
  const third = await openStore(options)
  expect(await third.get('k')).toBe(5)
  await third.close()
})
