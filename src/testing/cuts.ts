/**
 * Cuts a scenario at every one of its storage calls, in every way, and checks the storage after each cut.
 *
 * - The scenario runs once undisturbed. Then it runs again for each call and each way, in a world of its own.
 * - After `never-sent` and `reply-lost` the process is dead: no later call is sent or answered, and the scenario is
 *   abandoned. After an error it goes on. It has to end, and may end with a `TidemarkError`, but with no other error.
 * - `verify` then sees the storage as the next process would, with new handles and without faults.
 */
import { systemClock, type Clock } from '../clock.js'
import { isTidemarkError } from '../errors.js'
import type { Storage } from '../storage/contract.js'
import { atOnce } from './at-once.js'
import { faulty, type Decide, type Point } from './faulty.js'

/** A way to cut a call; `Fault` says what each does. */
export type Way = 'never-sent' | 'reply-lost' | 'error-before' | 'error-after'

/** All ways to cut a call. */
export const WAYS: readonly Way[] = ['never-sent', 'reply-lost', 'error-before', 'error-after']

/** A place to run in: a storage whose calls go through `decide`, or the calls of a file system beneath it. */
export interface World {
  /** The storage of the run. Its calls fail as `decide` says. */
  readonly storage: Storage
  /** The storage that another process finds after the crash, when all calls that were sent have ended. */
  reopen(): Storage | Promise<Storage>
}

/** The call at which a run was cut, and the way. */
export interface Cut {
  /** The call. */
  readonly point: Point
  /** The way in which it was cut. */
  readonly way: Way
}

/** Options of `cuts`. */
export interface CutsOptions<Note> {
  /**
   * Makes a world that asks `decide` before each call and does as it says. `worldOver` makes one of any storage.
   * @when Write one when a crash has to lose more than the calls under way, as a power loss does.
   */
  readonly makeWorld: (decide: Decide) => World | Promise<World>
  /**
   * Makes the same calls in the same order in each run. It puts what was acknowledged into `notes`, for `verify`.
   * @when Keep it short: it is run once for each call and way.
   */
  readonly scenario: (storage: Storage, notes: Note[]) => Promise<unknown>
  /**
   * Throws when the storage does not hold what it must after these notes. `cut` is undefined in the undisturbed run.
   * @when Say here what must hold after a crash at any moment.
   */
  readonly verify: (storage: Storage, notes: readonly Note[], cut: Cut | undefined) => Promise<unknown>
  /**
   * The ways to cut each call.
   * @default `WAYS`
   * @when Set it to test fewer of them.
   */
  readonly ways?: readonly Way[] | undefined
  /**
   * Whether to cut this call of the undisturbed run in this way.
   * @default every call in each of `ways`
   * @when Set it to see one failure again, or to take a sample of a long scenario.
   */
  readonly only?: ((point: Point, way: Way) => boolean) | undefined
  /**
   * How long one run may take before it counts as hanging, in milliseconds of real time.
   * @default 10000
   * @unit milliseconds
   * @when Raise it for a slow storage.
   */
  readonly limitMs?: number | undefined
  /**
   * Measures `limitMs`.
   * @default the platform's
   * @when Only tests of it replace it.
   */
  readonly clock?: Clock | undefined
}

/** The result of `cuts`. */
export interface CutsResult {
  /** How many storage calls the undisturbed run made. */
  readonly points: number
  /** How many runs there were. */
  readonly runs: number
  /** How many runs ended before they reached their call. Above 0 the scenario is not the same each time. */
  readonly missed: number
}

/**
 * Cuts `scenario` at each of its storage calls, and lets `verify` judge what is left.
 *
 * @throws an error that names the call and the way, at the first run that hangs, ends with another error than a
 *   `TidemarkError`, or does not verify
 * @example
 *     await cuts({
 *       makeWorld: worldOver(() => memory()),
 *       async scenario(storage, notes) {
 *         const store = await openStore({ storage, name: 's' })
 *         store.put('a', 1)
 *         notes.push(await store.commit())
 *       },
 *       async verify(storage, notes) {
 *         const store = await openStore({ storage, name: 's' })
 *         if (notes.length > 0) assert.equal(await store.get('a'), 1)
 *       },
 *     })
 */
export async function cuts<Note>(options: CutsOptions<Note>): Promise<CutsResult> {
  const { ways = WAYS, only = () => true } = options
  const { points } = await run(options)
  let runs = 1
  let missed = 0
  for (const point of points) {
    for (const way of ways) {
      if (!only(point, way)) continue
      runs++
      if (!(await run(options, point.index, way)).reached) missed++
    }
  }
  return { points: points.length, runs, missed }
}

/**
 * Gives a function that makes a world of any storage. `make` gives a new, empty one for each run; its errors come through.
 *
 * @example
 *     const makeWorld = worldOver(() => memory())
 */
export function worldOver(make: () => Storage | Promise<Storage>): (decide: Decide) => Promise<World> {
  return async (decide) => {
    // Each run has to make the same calls, so the end of a fold must not depend on how fast the platform hashes.
    const storage = atOnce(await make())
    const broken = faulty(storage, decide)
    return {
      storage: broken,
      async reopen() {
        await broken.idle()
        return storage
      },
    }
  }
}

async function run<Note>(
  { makeWorld, scenario, verify, limitMs = 10_000, clock = systemClock }: CutsOptions<Note>,
  index?: number,
  way?: Way,
): Promise<{ points: readonly Point[]; reached: boolean }> {
  const points: Point[] = []
  let cut: Cut | undefined
  let died!: () => void
  const death = new Promise<'dead'>((resolve) => (died = () => resolve('dead')))

  const world = await makeWorld((point) => {
    points.push(point)
    if (cut === undefined && way !== undefined && point.index === index) {
      cut = { point, way }
      if (deadly(way)) died()
      return way
    }
    return cut !== undefined && deadly(cut.way) ? 'never-sent' : undefined
  })

  const notes: Note[] = []
  let cancel = (): void => {}
  const hang = new Promise<'hang'>((resolve) => (cancel = clock.timer(limitMs, () => resolve('hang'))))
  const ended = scenario(world.storage, notes).then(
    () => undefined,
    (error: unknown) => ({ error }),
  )
  try {
    const end = await Promise.race([ended, death, hang])
    // Notes that come later do not count: the process is dead.
    const noted = [...notes]
    if (end === 'hang') throw new Error(`no end within ${limitMs} ms`)
    if (typeof end === 'object' && (cut === undefined || !isTidemarkError(end.error))) throw end.error
    await verify(await world.reopen(), noted, cut)
    return { points, reached: cut !== undefined }
  } catch (error) {
    throw new Error(`${place(cut)}: ${String(error)}`, { cause: error })
  } finally {
    cancel()
  }
}

function deadly(way: Way): boolean {
  return way === 'never-sent' || way === 'reply-lost'
}

function place(cut: Cut | undefined): string {
  if (cut === undefined) return 'Without any cut'
  const { index, target, method, path, n } = cut.point
  return `Cut at call ${index}, ${target}.${method} of ${path}${n === undefined ? '' : ` ${n}`}, ${cut.way}`
}
