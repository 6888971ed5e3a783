import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { memory } from '../adapters/memory/index.js'
import { nodeFs } from '../adapters/node-fs/index.js'
import { systemClock } from '../src/clock.js'
import { deadlines } from '../src/storage/deadlines.js'
import { metered } from '../src/storage/metered.js'
import { retrying } from '../src/storage/retrying.js'
import { simulate, storageSuite, type Simulation } from '../src/testing/index.js'

describe('memory', () => storageSuite({ test, create: () => memory() }))

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

describe('files on Node', () => {
  let root!: string
  let storages = 0
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'tidemark-conformance-'))
  })
  afterAll(() => rm(root, { recursive: true, force: true }))
  storageSuite({ test, create: () => nodeFs(join(root, String(storages++))) })
})
