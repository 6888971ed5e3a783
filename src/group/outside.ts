/**
 * Rescaling from outside of a group. Members that live do it themselves, at moments that suit their handlers: what is wanted is
 * written down for them, and waited for. Where none lives the logs are sealed here, as anybody may, and the control store is told.
 */
import { equalBytes } from '../bytes/compare.js'
import { sleep, type Clock } from '../clock.js'
import { isTidemarkError, TidemarkError } from '../errors.js'
import { openAnchor, type ShardContext } from '../engine/context.js'
import { rangesOf } from '../engine/shards/plan.js'
import { rescaleLogs } from '../engine/shards/rescale.js'
import { resolveOptions, type ResolvedOptions } from '../store/open-options.js'
import type { StorePlace } from '../tools/place.js'
import { contextOf } from '../transfer/options.js'
import { Control, CONTROL } from './control.js'
import { decodeLease, leasePath } from './lease.js'
import { goOn } from './logs.js'
import { inOrder, type GroupState, type Range } from './state.js'
import { isReached, wantedOf } from './target.js'
import { aimed } from './transitions.js'

/** Between two looks at what the members have done: so many in a lease. */
const LOOKS = 12

type CutsOf = (partitions: number) => readonly number[]

/** Brings a store to other shards, through its group where it has one. */
export async function rescaleFromOutside(
  place: StorePlace,
  cutsOf: CutsOf,
  clock: Clock | undefined,
): Promise<readonly Range[]> {
  const ctx = contextOf(place, clock)
  const options = resolveOptions({ ...place, clock, logger: false })
  const control = await openControl(ctx, options)
  if (control === undefined) return rescaleLogs(ctx, cutsOf)
  try {
    const { partitions } = control.state.settings
    const cuts = cutsOf(partitions)
    rangesOf(cuts, partitions)
    if (await isDoneByMembers(ctx, control, cuts)) return inOrder(control.state)
    await control.transact((state) => (state.target ? { ...state, target: undefined } : state))
    const children = await rescaleLogs(ctx, cutsOf)
    await goOn(ctx, options, control)
    return children
  } finally {
    await control.close()
  }
}

/** The control store; `undefined` where the store has none, or that says nothing. */
async function openControl(ctx: ShardContext, options: ResolvedOptions): Promise<Control | undefined> {
  if ((await openAnchor({ ...ctx, shard: CONTROL }).read()).bytes === undefined) return undefined
  const { storage, name, clock, logger, timeoutMs } = options
  const nothing = new TidemarkError('NOT_FOUND', `Store "${name}" has no group.`)
  try {
    const first = (): Promise<never> => Promise.reject(nothing)
    return await Control.open({ storage, name, clock, logger, timeoutMs, create: false }, first, () => undefined)
  } catch (error) {
    if (error === nothing || (isTidemarkError(error) && error.code === 'NOT_FOUND')) return undefined
    throw error
  }
}

/** Tells the members what is wanted, and waits until they have done it. `false` when none of them lives. */
async function isDoneByMembers(ctx: ShardContext, control: Control, cuts: readonly number[]): Promise<boolean> {
  const target = { cuts: [...cuts] }
  const signs = new Signs(ctx)
  for (let isAimed = false; !(isAimed && isReached(control.state, target)); await control.look()) {
    if (!(await signs.areGiven(control.state.members.keys()))) return false
    assertNotParked(control.state, cuts)
    if (!isAimed) await control.transact((state) => aimed(state, target))
    else if (control.state.target?.cuts.join() !== cuts.join()) {
      throw new TidemarkError(
        'CONFLICT',
        'Somebody else wants other shards meanwhile; look at what there is, and try again.',
      )
    }
    isAimed = true
    if (!isReached(control.state, target)) await sleep(ctx.clock, signs.leaseMs / LOOKS)
  }
  return true
}

/** A shard that is parked has no owner that could seal it. */
function assertNotParked(state: GroupState, cuts: readonly number[]): void {
  const wanted = wantedOf(state.settings.partitions, { cuts })
  const parked = inOrder(state).find(
    ({ isParked, ...shard }) =>
      isParked && !wanted.some(({ first, last }) => first === shard.first && last === shard.last),
  )
  if (parked === undefined) return
  const { first, last } = parked
  throw new TidemarkError(
    'CONFLICT',
    `Shard ${first}-${last} is parked and stays as it is until a member calls unpark(${first}).`,
  )
}

/** What shows that any of the members lives: one of their leases is renewed. */
class Signs {
  /** The longest of the leases. */
  leaseMs = 0
  readonly #ctx: ShardContext
  readonly #seen = new Map<string, Uint8Array | undefined>()
  #last: number

  constructor(ctx: ShardContext) {
    this.#ctx = ctx
    this.#last = ctx.clock.monotonic()
  }

  /** Whether there was a sign within a lease; what has just been seen for the first time counts as one. */
  async areGiven(members: Iterable<string>): Promise<boolean> {
    const { clock, storage, store } = this.#ctx
    await Promise.all(
      [...members].map(async (member) => {
        const { bytes } = await storage.anchor(leasePath(store, member)).read()
        const before = this.#seen.get(member)
        this.#seen.set(member, bytes)
        if (bytes === undefined || (before && equalBytes(before, bytes))) return
        if (this.#note(bytes)) this.#last = clock.monotonic()
      }),
    )
    return clock.monotonic() - this.#last < this.leaseMs
  }

  #note(bytes: Uint8Array): boolean {
    try {
      const { leaseMs, isDead } = decodeLease(bytes, 'A lease')
      if (!isDead) this.leaseMs = Math.max(this.leaseMs, leaseMs)
      return !isDead
    } catch {
      // Its member writes it anew, if it lives.
      return false
    }
  }
}
