/** The conformance suite on memory() in other guises; test/adapters/suites.test.ts runs it on each adapter as it is. */
import { describe, test } from 'vitest'
import { memory } from '../../adapters/memory/index.js'
import { systemClock } from '../../src/clock.js'
import { deadlines } from '../../src/storage/deadlines.js'
import { metered } from '../../src/storage/metered.js'
import { retrying } from '../../src/storage/retrying.js'
import { simulate, storageSuite, type Simulation } from '../../src/testing/index.js'
import { forAdapter } from '../support/counting.js'

forAdapter('memory')

describe('memory with a clock', () => storageSuite({ test, create: () => memory({ clock: systemClock }) }))

describe('memory under all decorators', () =>
  storageSuite({ test, create: () => retrying(deadlines(metered(memory()))) }))

describe('memory over the simulated line', () => {
  let sim!: Simulation
  storageSuite({
    test: (name, run) =>
      test(name, async () => {
        await simulate({ seed: name.length }, (simulation) => {
          sim = simulation
          return run()
        })
      }),
    create: () => sim.storage(memory({ clock: sim.clock })),
  })
})
