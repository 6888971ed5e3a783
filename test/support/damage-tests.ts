/** The damage tests, the same for every storage. */
import { expect, test } from 'vitest'
import { verify } from 'tidemark/tools'
import { extent } from './extent.js'
import { cutsOf, flips, survive, type Tally, type World } from './damage.js'

const PATTERNS = [0x01, 0x80, 0xff, 0x10, 0x42]
// It shares no factor with the number of patterns, so that each has its turn.
const STEP = extent(1, 29)
const oneEach = (at: number): number[] => (at % STEP === 0 ? [PATTERNS[at % PATTERNS.length]!] : [])
const alternating = (i: number): ('exclusive' | 'follower')[] => [i % 3 === 0 ? 'exclusive' : 'follower']

/** `tears`: a damaged end of the log cannot be told from one that a crash has torn. */
export function damageTests(name: string, makeWorld: () => Promise<World>, tears: boolean): void {
  const judge = (what: string, tally: Tally, begun: number): void => {
    console.log(`${what} on ${name}: ${JSON.stringify(tally)}, ${Math.round(performance.now() - begun)} ms`)
    expect(tally.UNSUPPORTED_FORMAT).toBe(0)
    expect(tally.earlier > 0).toBe(tears)
    expect(tally.CORRUPT).toBeGreaterThan(extent(800, 50))
  }

  test('is sound, has every kind of object, and at most 16 KiB', async () => {
    const world = await makeWorld()
    const size = [...world.objects.values()].reduce((sum, { length }) => sum + length, 0)
    expect(size).toBeLessThanOrEqual(16 << 10)
    const report = await verify({ storage: await world.storage(world.objects), name: 'small' })
    expect(report).toMatchObject({ ok: true, damages: [], orphans: { count: 0 }, version: 10, segments: 7 })
    console.log(`${world.objects.size} objects on ${name}, ${size} bytes`)
  })

  test('with any one byte flipped it shows the right data, an earlier version where only the end was hit, or CORRUPT', async () => {
    const begun = performance.now()
    const world = await makeWorld()
    const tally = await survive(world, flips(world, oneEach), alternating)
    judge('flips', tally, begun)
    // Only the newest entry: what comes after a damaged one says that it was durable.
    expect(tally['much earlier']).toBe(0)
  })

  test('with any object cut, it shows the right data, an earlier version where only the end was hit, or CORRUPT', async () => {
    const begun = performance.now()
    const world = await makeWorld()
    judge('cuts', await survive(world, cutsOf(world, extent(4, 44)), alternating), begun)
  })
}
