/**
 * Cuts a scenario at every one of its storage calls, in every way, and looks at what is left.
 *
 * - The scenario runs once undisturbed; then, for each call and each way, again in a world of its own.
 * - After `never-sent` and `reply-lost` the process is dead: no later call is sent or answered, and the scenario is
 *   abandoned. After an error it goes on, and may end with a `TidemarkError`, but not with another error and not never.
 * - `verify` then sees the storage as the next process would: new handles, no faults.
 */
import { systemClock, type Clock } from '../clock.js'
import { isTidemarkError } from '../errors.js'
import type { Storage } from '../storage/contract.js'
import { atOnce } from './at-once.js'
import { faulty, type Decide, type Point } from './faulty.js'

export type Way = 'never-sent' | 'reply-lost' | 'error-before' | 'error-after'

export const WAYS: readonly Way[] = ['never-sent', 'reply-lost', 'error-before', 'error-after']

/** Something to run in: a storage whose calls (or what lies beneath them: a file system's) go through `decide`. */
export interface World {
  readonly storage: Storage
  /** After the crash, when all that was sent has ended: what another process finds. */
  reopen(): Storage | Promise<Storage>
}

/** Where a run was cut; `undefined` in the run that is not. */
export interface Cut {
  readonly point: Point
  readonly way: Way
}

export interface CutsOptions<Note> {
  /** Asks `decide` before each call and does what it says: `faulty` does, see `worldOver`. */
  readonly makeWorld: (decide: Decide) => World | Promise<World>
  /** The same calls in the same order in each run. What was acknowledged goes into `notes`, for `verify`. */
  readonly scenario: (storage: Storage, notes: Note[]) => Promise<unknown>
  /** Throws when the storage does not hold what it must after these notes. */
  readonly verify: (storage: Storage, notes: readonly Note[], cut: Cut | undefined) => Promise<unknown>
  /** Default: all four. */
  readonly ways?: readonly Way[] | undefined
  /** Whether to cut at this call, as the undisturbed run made it, in this way. Default: at each in each of `ways`. */
  readonly only?: ((point: Point, way: Way) => boolean) | undefined
  /** How long one run may take, in real time, before it counts as hanging. Default: 10,000. */
  readonly limitMs?: number | undefined
  readonly clock?: Clock | undefined
}

export interface CutsResult {
  /** The storage calls of the undisturbed run. */
  readonly points: number
  readonly runs: number
  /** Runs that ended before they reached their point; above 0 the scenario is not the same each time. */
  readonly missed: number
}

/** Throws an error that names point and way at the first run that hangs, fails otherwise than typed, or does not verify. */
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

/** A world over any storage: `make` gives a new one for each run. */
export function worldOver(make: () => Storage | Promise<Storage>): (decide: Decide) => Promise<World> {
  return async (decide) => {
    // Each run has to make the same calls: when a fold is done must not hang on how fast the platform hashes.
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
    // What a dead process would have noted later does not count.
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
