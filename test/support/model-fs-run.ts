/** Running the node-fs adapter on a model: a clock without time, cuts at every call, seeded interleavings. */
import type { Clock } from '../../src/clock.js'
import { Random } from '../../src/testing/random.js'
import { ModelFs, type ModelProcess, type Step, type Verdict } from './model-fs.js'

/** Time passes only by waiting, and waiting takes one turn. */
export function modelClock(seed = 1): Clock {
  const random = new Random(seed)
  let now = 0
  return {
    now: () => 1e12 + now,
    monotonic: () => now,
    random: (length) => random.bytes(length),
    timer(ms, run) {
      let cancelled = false
      process.nextTick(() => {
        if (cancelled) return
        now += ms
        run()
      })
      return () => void (cancelled = true)
    },
    pause: eventLoop,
  }
}

/**
 * Everything that can go on without an answer of the file system has gone on after it: Node empties the queue of promises
 * before the next tick. That is four times as fast as a turn of the event loop.
 */
function turn(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}

/** As `turn`, and lets I/O go on as well. */
function eventLoop(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

export type Way = 'never-sent' | 'reply-lost' | 'error-before' | 'error-after'
const WAYS: readonly Way[] = ['never-sent', 'reply-lost', 'error-before', 'error-after']

export interface CutScenario<Notes> {
  /** Done on the disk before anything is cut. */
  prepare?(disk: ModelFs): Promise<void>
  /** The run that is cut makes the same calls each time. Notes count from the moment they are made. */
  run(fs: ModelProcess, notes: Notes, disk: ModelFs): Promise<void>
  notes(): Notes
  /** Looks at what is left, as the next process finds it. Throws when a promise was broken. */
  verify(disk: ModelFs, notes: Notes): Promise<void>
}

/**
 * Runs the scenario once for each call of the file system and each way to cut it there, and verifies what is left after
 * the end of the process and after power losses of different luck. Errors do not end the process: it goes on after them.
 * With `inTurn` each call is cut in half of the ways.
 */
export async function cutEverywhere<Notes>(
  scenario: CutScenario<Notes>,
  luck = 4,
  inTurn = false,
): Promise<{ points: number; runs: number }> {
  const { steps } = await cut(scenario, -1, 'never-sent', 0)
  let runs = 0
  for (let at = 0; at < steps; at++) {
    for (const [i, way] of WAYS.entries()) {
      if (inTurn && (at + i) % 2 === 1) continue
      for (let seed = 0; seed <= luck; seed++, runs++) await cut(scenario, at, way, seed)
    }
  }
  return { points: steps, runs }
}

/** `seed` 0: the processes end, the machine goes on. */
async function cut<Notes>(
  scenario: CutScenario<Notes>,
  at: number,
  way: Way,
  seed: number,
): Promise<{ steps: number }> {
  const disk = new ModelFs()
  await scenario.prepare?.(disk)
  let steps = 0
  let where: Step | undefined
  let died!: () => void
  const death = new Promise<void>((resolve) => (died = resolve))
  const fs = disk.process({
    onStep(step) {
      steps++
      if (step.index !== at) return undefined
      where = step
      if (way === 'never-sent' || way === 'reply-lost') died()
      return verdict(way)
    },
  })
  const notes = scenario.notes()
  try {
    await Promise.race([scenario.run(fs, notes, disk), death])
    // Calls that take effect and are not answered take it now.
    await eventLoop()
    await scenario.verify(seed === 0 ? disk.kill() : disk.crash({ seed: seed * 1000 + at }), notes)
  } catch (error) {
    const place = where ? `${way} of call ${at}, ${where.call} of ${where.path}` : 'no cut'
    throw new Error(`${place}, ${seed === 0 ? 'kill' : `crash ${seed}`}: ${String(error)}`, { cause: error })
  }
  return { steps }
}

function verdict(way: Way): Verdict {
  return way === 'error-before' ? { before: 'EIO' } : way === 'error-after' ? { after: 'EIO' } : way
}

/** The fate of a step. */
export type Disturbance = 'taken' | 'held up' | 'killed' | 'lost power'

/** Lets processes take their steps one at a time, in an order that follows from a seed; some are held up for a while. */
export class Interleaving {
  readonly random: Random
  readonly #waiting: { owner: string; step: string; go: () => void }[] = []
  readonly #heldUntil = new Map<string, number>()
  readonly #told: (what: Disturbance, step: string) => void
  steps = 0

  /** `told` hears of every step that is taken, and of those that somebody was held up before or never got to. */
  constructor(seed: number, told: (what: Disturbance, step: string) => void = () => {}) {
    this.random = new Random(seed)
    this.#told = told
  }

  /** Waits until it is the turn of `owner` to take `step`. */
  next(owner: string, step: string): Promise<void> {
    return new Promise((go) => {
      this.#waiting.push({ owner, step, go })
    })
  }

  /** The calls that `owner` waits for never happen. */
  forget(owner: string, why: 'killed' | 'lost power'): void {
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      if (this.#waiting[i]!.owner === owner) this.#told(why, this.#waiting.splice(i, 1)[0]!.step)
    }
  }

  /** Runs until `isOver`, `limit` steps at most. `each` is called between steps. */
  async run(isOver: () => boolean, limit: number, each: () => void): Promise<void> {
    while (!isOver()) {
      await turn()
      if (isOver()) return
      if (this.#waiting.length === 0) {
        await eventLoop()
        continue
      }
      if (++this.steps > limit) throw new Error(`not over after ${limit} steps`)
      each()
      if (this.#waiting.length === 0) continue
      if (this.random.chance(0.01)) {
        const { owner, step } = this.#waiting[this.random.below(this.#waiting.length)]!
        this.#told('held up', step)
        this.#heldUntil.set(owner, this.steps + this.random.below(120))
      }
      const free = this.#waiting.filter(({ owner }) => (this.#heldUntil.get(owner) ?? 0) <= this.steps)
      const from = free.length > 0 ? free : this.#waiting
      const chosen = from[this.random.below(from.length)]!
      this.#waiting.splice(this.#waiting.indexOf(chosen), 1)
      this.#told('taken', chosen.step)
      chosen.go()
    }
  }
}
