import { expect, test } from 'vitest'
import { memory } from '../../../adapters/memory/index.js'
import { sleep, systemClock } from '../../../src/clock.js'
import type { Storage } from '../../../src/storage/contract.js'
import { deadlines } from '../../../src/storage/deadlines.js'
import { Random, simulate, type Actor, type SimulateOptions, type Simulation } from '../../../src/testing/index.js'

const number = (n: number): Uint8Array => new Uint8Array([n])

const slow: SimulateOptions['slow'] = { chance: 0, ms: 0 }

/** Two actors that append to one log, each looking for the next free number; what each was told is committed. */
async function twoWriters(sim: Simulation): Promise<Array<readonly [n: number, by: number]>> {
  const storage = memory({ clock: sim.clock })
  const acknowledged: Array<readonly [number, number]> = []
  const write = (by: number) => async (me: Actor) => {
    const log = me.storage(storage).log('s/0/id')
    let n = 1
    for (let i = 0; i < 5; i++) {
      await sleep(me.clock, 10 * sim.random.next())
      for (;;) {
        const { outcome } = await log.append(n, number(by), 1)
        if (outcome === 'committed') break
        n++
      }
      acknowledged.push([n++, by])
    }
  }
  const actors = [1, 2].map((by) => sim.actor(`writer ${by}`, write(by)))
  await Promise.all(actors.map((actor) => actor.done))
  for (const [n, by] of acknowledged) {
    expect((await storage.log('s/0/id').read(n)).bytes).toEqual(number(by))
  }
  return acknowledged
}

/** A counter that is read and written back: with `swap` it is sound, with `put` two writers lose counts. */
async function counter(sim: Simulation, sound: boolean): Promise<number> {
  const beneath = memory()
  await beneath.anchor('s/0/anchor').swap(undefined, number(0), 0)
  await beneath.blobs.put('s/0/id/seg/count', number(0))
  const count = async (storage: Storage): Promise<void> => {
    if (!sound) {
      const { bytes } = await storage.blobs.get('s/0/id/seg/count')
      await storage.blobs.put('s/0/id/seg/count', number(bytes![0]! + 1))
      return
    }
    for (;;) {
      const { bytes, token } = await storage.anchor('s/0/anchor').read()
      const { outcome } = await storage.anchor('s/0/anchor').swap(token, number(bytes![0]! + 1), 0)
      if (outcome === 'committed') return
    }
  }
  const actors = ['a', 'b'].map((name) =>
    sim.actor(name, async (me) => {
      await sleep(me.clock, 60 * sim.random.next())
      await count(me.storage(beneath))
    }),
  )
  await Promise.all(actors.map((actor) => actor.done))
  const { bytes } = sound ? await beneath.anchor('s/0/anchor').read() : await beneath.blobs.get('s/0/id/seg/count')
  return bytes![0]!
}

test('the same seed gives the same trace, line by line, and another seed another', async () => {
  const options = { stalls: { chance: 0.05, ms: 5000, clock: 'stops' } } as const
  const runs = []
  for (const seed of [7, 7, 8]) runs.push(await simulate({ seed, ...options }, twoWriters))
  expect(runs[1]).toEqual(runs[0])
  expect(runs[0]!.trace.length).toBeGreaterThan(40)
  expect(runs[2]!.trace).not.toEqual(runs[0]!.trace)
})

test('a failing seed fails again with the identical message and trace, and names the seed', async () => {
  const failing = (seed: number): Promise<unknown> =>
    simulate({ seed }, async (sim) => {
      const value = await counter(sim, false)
      if (value !== 2) throw new Error(`counted ${value} of 2`)
    }).then(
      () => undefined,
      (error: unknown) => error,
    )
  const seeds = Array.from({ length: 40 }, (_, seed) => seed)
  const failures = new Map<number, Error>()
  for (const seed of seeds) {
    const error = await failing(seed)
    if (error !== undefined) failures.set(seed, error as Error)
  }
  // Some interleavings are harmless, some are not: that is what the seeds are for.
  expect(failures.size).toBeGreaterThan(3)
  expect(failures.size).toBeLessThan(40)
  for (const [seed, error] of failures) {
    expect(error.message).toContain(`seed ${seed}: Error: counted 1 of 2`)
    expect(((await failing(seed)) as Error).message).toBe(error.message)
  }
})

test('no seed breaks a program that uses compare and swap', async () => {
  for (let seed = 0; seed < 100; seed++) {
    expect((await simulate({ seed }, (sim) => counter(sim, true))).value).toBe(2)
  }
})

test('two writers are never told of the same number, whatever the order of events', async () => {
  const orders = new Set<string>()
  for (let seed = 0; seed < 50; seed++) {
    const { value } = await simulate({ seed, stalls: { chance: 0.02, ms: 2000 } }, twoWriters)
    expect(new Set(value.map(([n]) => n)).size).toBe(10)
    orders.add(value.map(([, by]) => by).join(''))
  }
  expect(orders.size).toBeGreaterThan(25)
})

test('virtual time costs no real time, and timers fire in their order', async () => {
  const started = systemClock.monotonic()
  const { value, virtualMs } = await simulate({ seed: 1 }, async ({ clock }) => {
    const order: string[] = []
    clock.timer(3_600_000, () => order.push('hour'))
    clock.timer(50, () => order.push('first of 50'))
    clock.timer(50, () => order.push('second of 50'))
    const cancel = clock.timer(20, () => order.push('cancelled'))
    cancel()
    const before = clock.now()
    await sleep(clock, 86_400_000)
    return { order, slept: clock.now() - before }
  })
  expect(value).toEqual({ order: ['first of 50', 'second of 50', 'hour'], slept: 86_400_000 })
  expect(virtualMs).toBe(86_400_000)
  // A day of it, on the slowest machine.
  expect(systemClock.monotonic() - started).toBeLessThan(60_000)
})

test('all that a step sets off has ended before the next, however long the chain of promises', async () => {
  await simulate({ seed: 1 }, async (sim) => {
    let ticks = 0
    sim.clock.timer(1, () => {
      void (async () => {
        for (let i = 0; i < 5000; i++) {
          await Promise.resolve()
          ticks++
        }
      })()
    })
    await sleep(sim.clock, 1.001)
    expect(ticks).toBe(5000)
  })
})

test('a request is applied and answered some time after it was sent, in an order of its own', async () => {
  const orders = new Set<string>()
  for (let seed = 0; seed < 60; seed++) {
    await simulate({ seed, slow }, async (sim) => {
      const applied: number[] = []
      const before = sim.clock.monotonic()
      await Promise.all([1, 2, 3].map((i) => sim.call(`call ${i}`, () => Promise.resolve(applied.push(i)))))
      expect(sim.clock.monotonic() - before).toBeGreaterThanOrEqual(2)
      expect(sim.clock.monotonic() - before).toBeLessThanOrEqual(40)
      orders.add(applied.join())
    })
  }
  expect(orders.size).toBe(6)
})

test('a program that waits for ever fails with the seed, who is waiting, and the end of the trace', async () => {
  const hang = simulate({ seed: 42 }, async (sim) => {
    sim.actor('forgetful', async (me) => {
      await me.storage(memory()).blobs.get('a')
      await new Promise(() => {})
    })
    await sim.clock.pause()
  })
  await expect(hang).rejects.toThrow(
    /seed 42: nothing is left that could happen; running: forgetful\.[^]*blobs\.get a answered$/,
  )
})

test('a program that never ends fails with the seed after so many steps', async () => {
  const busy = simulate({ seed: 43, maxSteps: 500 }, async (sim) => {
    for (;;) await sim.clock.pause()
  })
  await expect(busy).rejects.toThrow('seed 43: no end after 500 steps; running: main')
})

test('an error of an actor ends the simulation with the seed, the error being the cause', async () => {
  const error = new Error('broken')
  const run = simulate({ seed: 44 }, async (sim) => {
    sim.actor('a', () => Promise.reject(error))
    await sleep(sim.clock, 1000)
  })
  await expect(run).rejects.toMatchObject({ message: expect.stringContaining('seed 44: Error: broken'), cause: error })
})

test('a storage that does not answer in real time is told from a program that hangs', async () => {
  const dead = simulate({ seed: 45, realMs: 20 }, (sim) => sim.call('dead', () => new Promise(() => {})))
  await expect(dead).rejects.toThrow('seed 45: the storage beneath did not answer within 20 ms')
})

test('a storage beneath may take real time', async () => {
  const { value } = await simulate({ seed: 46 }, (sim) =>
    sim.call('real', () => new Promise((resolve) => setTimeout(() => resolve('answer'), 10))),
  )
  expect(value).toBe('answer')
})

test('a stall holds up the actor and not its request; a clock that stops does not notice', async () => {
  for (const clock of ['runs', 'stops'] as const) {
    await simulate({ seed: 3, slow }, async (sim) => {
      const storage = memory()
      let took = 0
      const actor = sim.actor('a', async (me) => {
        const before = me.clock.monotonic()
        await me.storage(storage).blobs.put('a', number(1))
        took = me.clock.monotonic() - before
      })
      await sleep(sim.clock, 0.5)
      sim.stall(actor, 60_000, clock)
      await sleep(sim.clock, 30_000)
      expect((await storage.blobs.get('a')).bytes).toEqual(number(1))
      await actor.done
      expect(sim.clock.monotonic()).toBeGreaterThan(60_000)
      if (clock === 'runs') expect(took).toBeGreaterThan(60_000)
      else expect(took).toBeLessThan(41)
    })
  }
})

test('a timer is late by the stall when its clock stopped, and due at once when it ran on', async () => {
  for (const [clock, late] of [
    ['runs', 1000],
    ['stops', 1400],
  ] as const) {
    await simulate({ seed: 4 }, async (sim) => {
      let fired = 0
      const actor = sim.actor('a', async (me) => {
        await sleep(me.clock, 500)
        fired = sim.clock.monotonic()
        expect(me.clock.monotonic()).toBeCloseTo(clock === 'runs' ? 1000 : 500)
      })
      await sleep(sim.clock, 100)
      sim.stall(actor, 900, clock)
      await actor.done
      expect(fired).toBeCloseTo(late)
    })
  }
})

test('a clock with skew is off by that much', async () => {
  await simulate({ seed: 5 }, async (sim) => {
    const actor = sim.actor('a', async (me) => expect(me.clock.now() - sim.clock.now()).toBe(-90_000), {
      skewMs: -90_000,
    })
    await actor.done
  })
})

test('after a crash requests on their way are applied or not, and nothing is answered', async () => {
  const seen = new Set<boolean>()
  for (let seed = 0; seed < 30; seed++) {
    await simulate({ seed, slow }, async (sim) => {
      const storage = memory()
      let went = false
      const actor = sim.actor('a', async (me) => {
        me.clock.timer(5000, () => (went = true))
        await me.storage(storage).blobs.put('a', number(1))
        went = true
      })
      await sleep(sim.clock, 0.5)
      sim.crash(actor)
      await actor.done
      await sleep(sim.clock, 10_000)
      seen.add((await storage.blobs.get('a')).bytes !== undefined)
      expect(went).toBe(false)
    })
  }
  expect(seen.size).toBe(2)
})

test('a request may land long after its deadline has answered unknown', async () => {
  let landed = 0
  for (let seed = 0; seed < 20; seed++) {
    await simulate({ seed, slow: { chance: 0.3, ms: 10_000 } }, async (sim) => {
      const beneath = memory()
      const storage = deadlines(sim.storage(beneath), { clock: sim.clock, timeoutMs: 100 })
      const { outcome } = await storage.log('s/0/id').claim(1, number(1), 1)
      const then = (await beneath.log('s/0/id').read(1)).bytes
      await sleep(sim.clock, 20_000)
      const later = (await beneath.log('s/0/id').read(1)).bytes
      if (outcome === 'unknown' && !then && later) landed++
    })
  }
  expect(landed).toBeGreaterThan(0)
})

test('an aborted signal ends the waiting, and what was sent goes on', async () => {
  await simulate({ seed: 9, slow }, async (sim) => {
    const beneath = memory()
    const storage = sim.storage(beneath)
    const controller = new AbortController()
    const { signal } = controller
    const claim = storage.log('s/0/id').claim(1, number(1), 1, { signal })
    const put = storage.blobs.put('s/0/id/seg/a', number(1), { signal })
    const rejected = expect(put).rejects.toMatchObject({ code: 'ABORTED' })
    controller.abort()
    expect(await claim).toMatchObject({ outcome: 'unknown', settle: true })
    await rejected
    expect(sim.clock.monotonic()).toBeLessThan(1)
    await sleep(sim.clock, 100)
    expect((await beneath.log('s/0/id').read(1)).bytes).toEqual(number(1))
    await expect(storage.blobs.get('a', { signal })).rejects.toMatchObject({ code: 'ABORTED' })
  })
})

test('300 steps take a few milliseconds', async () => {
  let best = Infinity
  for (let i = 0; i < 5; i++) {
    const before = process.cpuUsage()
    const { steps } = await simulate({ seed: 6 }, async (sim) => {
      const { blobs } = sim.storage(memory())
      for (let n = 0; n < 150; n++) await blobs.put(`s/0/id/seg/${n}`, number(n))
    })
    expect(steps).toBeGreaterThanOrEqual(300)
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, (user + system) / 1000)
  }
  // About 3 ms of the processor's time, which others on the machine take nothing of.
  expect(best).toBeLessThan(50)
})

test('seeded numbers are spread evenly and differ between seeds', () => {
  const random = new Random(1)
  const counts = Array.from({ length: 10 }, () => 0)
  for (let i = 0; i < 10_000; i++) counts[random.below(10)]!++
  expect(Math.min(...counts)).toBeGreaterThan(850)
  expect(Math.max(...counts)).toBeLessThan(1150)
  const firsts = new Set(Array.from({ length: 1000 }, (_, seed) => new Random(seed).next()))
  expect(firsts.size).toBe(1000)
})
