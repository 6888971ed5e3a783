/**
 * A seeded scheduler: several writers, one storage, virtual time, and an order of events that follows from the seed.
 *
 * - One step runs at a time, and everything that it set off in the program has ended before the next is chosen. A turn of
 *   the event loop lies between them, which empties the queue of promises whatever its length (2.6 µs on Node). A program
 *   that waits for anything real (I/O, `crypto.subtle`) has to do so through `call`. A store over an actor's `storage` does.
 * - A storage call is three events: sent, applied, answered. Each way takes a seeded time. The call is applied in one step,
 *   so the storage beneath has to answer without virtual time. `memory()` does, and so does real I/O, within `realMs`.
 * - Only the seed decides: the same seed and program give the same trace, line by line.
 */
import { systemClock, type Clock } from '../clock.js'
import { aborted, throwIfAborted } from '../errors.js'
import type { Outcome, Storage } from '../storage/contract.js'
import { loadParts } from '../part.js'
import { intercept, unknownOutcome, type Call } from '../storage/intercept.js'
import type { Run } from '../storage/turns.js'
import { atOnce } from './at-once.js'
import { Random } from './random.js'
import { Schedule } from './schedule.js'
import type { SimulateOptions } from './simulate-options.js'

/** A program beside others, with a clock of its own. A stall delays its calls, and a crash abandons them. */
export interface Actor {
  /** Its name in the trace. */
  readonly name: string
  /** Its own clock, in virtual time. */
  readonly clock: Clock
  /** The storage as the actor reaches it, over the simulated line. */
  storage(storage: Storage): Storage
  /** Makes any other call that is sent, applied in one step, and answered. `label` names it in the trace. */
  call<T>(label: string, run: () => Promise<T>): Promise<T>
  /** Resolves when the actor has ended or crashed. It never rejects: an error of an actor ends the simulation. */
  readonly done: Promise<void>
}

/** The main program. Its clock shows the true time, and it is never stalled. */
export interface Simulation extends Actor {
  /** The seed from which all that happens follows. */
  readonly seed: number
  /** Random numbers that follow from the seed. */
  readonly random: Random
  /** Starts a program beside the others. Its clock is off by `skewMs`, 0 unless given. */
  actor(name: string, run: (me: Actor) => Promise<unknown>, options?: { readonly skewMs?: number | undefined }): Actor
  /** Holds the actor up; calls that it has sent go on. With `stops` its clock stands still meanwhile, as in suspend. */
  stall(actor: Actor, ms: number, clock?: 'runs' | 'stops'): void
  /** Ends the actor where it stands. Calls that it has sent are applied or not, and none is answered. */
  crash(actor: Actor): void
  /** Adds a line to the trace. */
  note(text: string): void
}

/** The result of `simulate`. */
export interface Simulated<T> {
  /** The value that `main` resolved to. */
  readonly value: T
  /** The events, a line for each. */
  readonly trace: readonly string[]
  /** How many steps were run. */
  readonly steps: number
  /** How much virtual time has passed, in milliseconds. */
  readonly virtualMs: number
}

interface ActorState extends Actor {
  ended: boolean
  crashed: boolean
  stalledUntil: number
  /** The time until which its clock stands still. */
  stoppedUntil: number
  /** How far its clock is behind by then, over all stalls in which it stopped. */
  lostMs: number
  end(): void
}

/**
 * Runs `main`, and all actors that it starts, to their end.
 *
 * @throws an error that names the seed, when a program fails or none can go on
 * @example
 *     const { trace } = await simulate({ seed: 316 }, async (sim) => {
 *       const storage = memory()
 *       const writer = (name: string) =>
 *         sim.actor(name, async (me) => {
 *           const store = await openStore<string, number>({ storage: me.storage(storage), name: 's', mode: 'shared', clock: me.clock })
 *           await store.transaction(async (tx) => tx.put('n', ((await tx.get('n')) ?? 0) + 1))
 *         })
 *       await Promise.all([writer('a').done, writer('b').done])
 *     })
 */
export async function simulate<T>(
  options: SimulateOptions,
  main: (sim: Simulation) => Promise<T>,
): Promise<Simulated<T>> {
  const { seed, delayMs = [1, 20], slow = { chance: 0.02, ms: 3000 }, stalls, maxSteps = 100_000 } = options
  const { startMs = 1_700_000_000_000, realMs = 5000 } = options
  // Parts are loaded in real time, which must not come into play.
  await loadParts()
  const random = new Random(seed)
  const schedule = new Schedule<ActorState>()
  const actors: ActorState[] = []
  const trace: string[] = []
  const failures: unknown[] = []
  let now = 0
  let applying = 0

  const note = (owner: string, text: string): void => void trace.push(`${now.toFixed(3)} ${owner}: ${text}`)

  function later(
    owner: ActorState,
    ms: number,
    place: 'owner' | 'world',
    label: string,
    run: () => void,
    due?: number,
  ): () => void {
    const step = { at: now + ms, owner, label, place, due, cancelled: owner.crashed, run }
    if (!step.cancelled) schedule.add(step)
    return () => void (step.cancelled = true)
  }

  function way(): number {
    const [from, to] = delayMs
    return random.chance(slow.chance) ? random.next() * slow.ms : from + random.next() * (to - from)
  }

  function newActor(name: string, skewMs: number): ActorState {
    let end!: () => void
    const done = new Promise<void>((resolve) => (end = resolve))
    const local = (): number => Math.max(now, actor.stoppedUntil) - actor.lostMs
    const clock: Clock = {
      now: () => Math.floor(startMs + skewMs + local()),
      monotonic: local,
      random: (length) => random.bytes(length),
      timer(ms, run) {
        const wait = Math.max(0, ms)
        return later(actor, wait, 'owner', `timer of ${ms} ms`, run, local() + wait)
      },
      pause: () => new Promise((resolve) => later(actor, random.next(), 'owner', 'pause', resolve)),
    }

    const call = <T>(label: string, run: () => Promise<T>): Promise<T> =>
      new Promise<T>((resolve, reject) => {
        const answer = (how: string, settle: () => void): void => {
          applying--
          later(actor, way(), 'owner', `${label} answered${how}`, settle)
        }
        const apply = (): void => {
          applying++
          run().then(
            (value) => answer(outcomeOf(value), () => resolve(value)),
            (error: unknown) => answer(`: ${String(error)}`, () => reject(error as Error)),
          )
        }
        later(actor, way(), 'world', `${label} applied`, apply)
      })

    const line = (inner: Storage): Storage =>
      intercept(inner, async <T>({ target, method, path, n, conditional, signal }: Call, run: Run<T>) => {
        throwIfAborted(signal)
        const label = `${target}.${method} ${path}${n === undefined ? '' : ` ${n}`}`
        // The signal ends the waiting. A call that was sent cannot be called back, and may land at any time.
        const answer = call(label, () => run(undefined))
        if (signal === undefined) return answer
        const settle = inner.capabilities.trim !== 'owner'
        return new Promise<T>((resolve, reject) => {
          const giveUp = (): void =>
            conditional ? resolve(unknownOutcome<T>(settle, aborted(signal))) : reject(aborted(signal))
          const onAbort = (): void => void later(actor, 0, 'owner', `${label} given up`, giveUp)
          signal.addEventListener('abort', onAbort, { once: true })
          answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
        })
      })

    const storage = (inner: Storage): Storage => atOnce(line(inner))
    const state = { ended: false, crashed: false, stalledUntil: 0, stoppedUntil: 0, lostMs: 0, end }
    const actor: ActorState = { name, clock, storage, call, done, ...state }
    actors.push(actor)
    return actor
  }

  function start<R>(actor: ActorState, run: () => Promise<R>, ended: (result: R) => void): void {
    const body = async (): Promise<void> => ended(await run())
    const finish = (): void => {
      actor.ended = true
      actor.end()
    }
    later(actor, 0, 'owner', 'starts', () => {
      body().then(finish, (error: unknown) => {
        // Nobody hears the error of a crashed program.
        if (!actor.crashed) failures.push(error)
        finish()
      })
    })
  }

  function stall(of: Actor, ms: number, clock: 'runs' | 'stops' = 'runs'): void {
    const actor = of as ActorState
    const until = Math.max(actor.stalledUntil, now + ms)
    if (clock === 'stops') {
      actor.lostMs += until - Math.max(actor.stalledUntil, now)
      actor.stoppedUntil = until
    }
    actor.stalledUntil = until
    note(actor.name, `stalled for ${ms.toFixed(0)} ms, its clock ${clock}`)
  }

  function crash(of: Actor): void {
    const actor = of as ActorState
    if (actor.ended) return
    actor.crashed = true
    actor.ended = true
    for (const step of schedule.of(actor)) step.cancelled = step.place === 'owner' || random.chance(0.5)
    note(actor.name, 'crashes')
    actor.end()
  }

  /** Tells whether the step has to wait, and puts it back into the schedule if so. */
  function postponed(step: NonNullable<ReturnType<typeof schedule.take>>): boolean {
    const { owner } = step
    if (step.place === 'world') return false
    // A timer is due by its owner's clock. If that has stood still, the timer is late by as much.
    const early = step.due === undefined ? 0 : step.due - owner.clock.monotonic()
    const wait = Math.max(early, owner.stalledUntil - now)
    // A smaller difference comes of adding and subtracting times.
    if (wait < 1e-6) return false
    step.at = now + wait
    schedule.add(step)
    return true
  }

  function fail(what: string, cause?: unknown): Error {
    const waiting = actors.filter((a) => !a.ended).map((a) => a.name)
    const end = trace.slice(-20).join('\n  ')
    return new Error(`Simulation with seed ${seed}: ${what}; running: ${waiting.join(', ')}.\n  ${end}`, { cause })
  }

  /** Lets the program run until it waits for the schedule alone. */
  async function drain(): Promise<void> {
    await systemClock.pause()
    if (applying === 0) return
    const limit = systemClock.monotonic() + realMs
    while (applying > 0) {
      if (systemClock.monotonic() > limit) throw fail(`the storage beneath did not answer within ${realMs} ms`)
      await systemClock.pause()
    }
  }

  const mainActor = newActor('main', 0)
  const sim: Simulation = Object.assign(mainActor, {
    seed,
    random,
    actor(name: string, run: (me: Actor) => Promise<unknown>, { skewMs = 0 } = {}) {
      const actor = newActor(name, skewMs)
      start(
        actor,
        () => run(actor),
        () => {},
      )
      return actor
    },
    stall,
    crash,
    note: (text: string) => note('main', text),
  })
  let value!: T
  start(
    mainActor,
    () => main(sim),
    (result) => (value = result),
  )

  let steps = 0
  while (actors.some((actor) => !actor.ended)) {
    const step = schedule.take()
    if (step === undefined) throw fail('nothing is left that could happen')
    now = Math.max(now, step.at)
    if (step.place === 'owner' && step.owner !== mainActor && stalls && random.chance(stalls.chance)) {
      stall(step.owner, random.next() * stalls.ms, stalls.clock)
    }
    if (++steps > maxSteps) throw fail(`no end after ${maxSteps} steps`)
    if (postponed(step)) continue
    note(step.owner.name, step.label)
    step.run()
    await drain()
    if (failures.length > 0) throw fail(`${String(failures[0])}`, failures[0])
  }
  return { value, trace, steps, virtualMs: now }
}

/** The outcome of a create or a swap, for the trace. */
function outcomeOf(value: unknown): string {
  const { outcome } = (value ?? {}) as Partial<Outcome>
  return outcome === undefined ? '' : `: ${outcome}`
}
