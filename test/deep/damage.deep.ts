import { expect, test } from 'vitest'
import { cutsOf, filesWorld, flips, memoryWorld, survive, type Blow } from '../support/damage.js'

/** How long to go on, in milliseconds; the runner sets it for a bounded slice. */
const SPAN = Number(process.env['TIDEMARK_DEEP_MS'] ?? Number.MAX_SAFE_INTEGER)
const EVERY = Array.from({ length: 255 }, (_, i) => i + 1)

/** In an order that is the same each time and leaves nothing out, so that a bounded run sees a bit of everything. */
function* strewn(blows: readonly Blow[]): Generator<Blow> {
  const step = 7_919
  for (let start = 0; start < step; start++) for (let i = start; i < blows.length; i += step) yield blows[i]!
}

test.each([
  ['memory()', memoryWorld],
  ['nodeFs()', filesWorld],
])(
  'a small store on %s survives every length of each object and every value of each byte, as far as there is time',
  async (name, makeWorld) => {
    const end = performance.now() + SPAN
    const world = await makeWorld()
    let blows = 0
    function* timely(all: Iterable<Blow>): Generator<Blow> {
      for (const blow of all) {
        if (performance.now() > end) return
        blows++
        yield blow
      }
    }
    const both = (): ('exclusive' | 'follower')[] => ['exclusive', 'follower']
    const cut = await survive(world, timely(strewn([...cutsOf(world)])), both)
    const flipped = await survive(world, timely(strewn([...flips(world, () => EVERY)])), both)
    console.log(`${name}: ${blows} blows, cuts ${JSON.stringify(cut)}, flips ${JSON.stringify(flipped)}`)
    expect(blows).toBeGreaterThan(0)
  },
  2_000_000_000,
)
