import { describe, expect, test } from 'vitest'
import { verify } from 'tidemark/tools'
import { memoryWorld } from '../support/damage.js'
import { damageTests } from '../support/damage-tests.js'
import { extent } from '../support/extent.js'

describe('a small store on memory()', () => {
  damageTests('memory()', memoryWorld, false)
})

describe('verify', () => {
  test('finds any one flipped byte in any object, and names the object', async () => {
    const world = await memoryWorld()
    let flips = 0
    const step = extent(3, 67)
    for (const [name, bytes] of world.objects) {
      for (let at = flips % step; at < bytes.length; at += step) {
        const flipped = bytes.slice()
        flipped[at]! ^= 1 << (at % 8)
        const storage = await world.storage(new Map(world.objects).set(name, flipped))
        const { ok, damages } = await verify({ storage, name: 'small' })
        expect([ok, damages[0]?.object, damages[0]?.code], `byte ${at} of ${name}`).toEqual([false, name, 'CORRUPT'])
        expect(damages).toHaveLength(1)
        flips++
      }
    }
    console.log(`verify found ${flips} of ${flips} flips`)
    expect(flips).toBeGreaterThan(extent(1400, 60))
  })

  test('finds any object that is missing, but for the anchor, which the next opener makes anew', async () => {
    const world = await memoryWorld()
    const newest = [...world.objects.keys()].filter((name) => name.includes('/log/')).at(-1)
    for (const name of world.objects.keys()) {
      const rest = new Map(world.objects)
      rest.delete(name)
      const report = await verify({ storage: await world.storage(rest), name: 'small' })
      // On objects the end of the log is where the next number is absent; `expectAtLeast` tells.
      // Without the mark of its writer another mode takes `force`, and that is all.
      const unnoticed = name === newest || name.endsWith('/anchor') || name.includes('/closed/')
      expect(report.damages.map(({ object }) => object)).toEqual(unnoticed ? [] : [name])
    }
  })
})
