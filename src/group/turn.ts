/**
 * Taking a shard over. The new owner follows its log, waits until the former one has let go (G9), and writes a fence that carries
 * the generation in which it was sent. That is never blind, and yields to a higher one in the log (G7).
 */
import { fromHex, toHex } from '../bytes/hex.js'
import type { Clock } from '../clock.js'
import { claim } from '../engine/open/claim.js'
import { moment, noteTime } from '../engine/context.js'
import { applyEntry, parseEntry, type ShardState } from '../engine/state.js'
import { tailOf } from '../log/tail.js'
import type { Turn } from '../log/shard-parts.js'
import type { StoreHandle } from '../store/handle.js'
import type { Bell } from './bell.js'
import type { Control } from './control.js'
import { hasEnded } from './logs.js'
import { instant, since, type Instant } from './since.js'

export interface Taking {
  readonly clock: Clock
  readonly control: Control
  readonly member: string
  /** The shard's id. */
  readonly shard: string
  readonly leaseMs: number
  /** How long the former owner is waited for at most, once it has had the time to hear of it. */
  readonly handoffMs: number
  /** Rung when what the control store says of the shard has changed. */
  readonly bell: Bell
  /** Whether it is still this member that is to take the shard over. */
  isWanted(): boolean
}

/**
 * Between the beginnings of two looks at a log whose owner is about to let go, at least. A look that takes longer is followed by
 * the next one at once: so the last commit is seen by the look after it, and costs one round trip.
 */
const LOOK_MS = 10

/** The log does not go on from what was known: it has ended by a seal, or was trimmed, or its store is another one. */
export class Ended extends Error {}

/** A look at the newest state says not to write the fence yet. */
class NotYet extends Error {}

/** The turn by which a shard was taken over, and when its fence was sent. */
export interface Taken {
  readonly turn: Turn
  readonly sent: Instant
}

/**
 * Takes over what `follower` follows, which is the owner then. `undefined` when the shard is to go to somebody else.
 */
export async function take(follower: StoreHandle, taking: Taking): Promise<Taken | undefined> {
  const { clock, control, bell, leaseMs } = taking
  const began = clock.monotonic()
  const isFreeIn = ({ carried }: ShardState): boolean => isFree(carried.turn, taking, clock.monotonic() - began)
  await follower.catchUp()
  let { state } = follower
  let looked = instant(clock)
  for (;;) {
    if (!taking.isWanted()) return undefined
    if (hasEnded(follower, taking.shard) || state.seal) throw new Ended('The log was sealed.')
    // What is to be made true is what was read last, and with it goes its number.
    const { generation } = control
    const known = state.carried.turn
    if (known && known.generation > generation) {
      // Somebody was sent later, or the control store was made anew.
      await control.look()
      if (control.generation < known.generation) await control.raise(known.generation)
    } else if (isFreeIn(state)) {
      const turn: Turn = { generation, member: fromHex(taking.member), isReleased: false, isTrial: false }
      const sent = instant(clock)
      const next = await fence(follower, state, turn, (newer) => {
        const isHigher = (newer.carried.turn?.generation ?? 0) > generation
        if (newer.seal || isHigher || !isFreeIn(newer)) throw new NotYet()
      })
      if (next !== undefined) {
        await follower.promote(next)
        return { turn, sent }
      }
      await follower.catchUp()
      ;({ state } = follower)
    } else {
      // Who was away may have missed that the log was trimmed.
      if (since(clock, looked) > leaseMs / 3) await follower.catchUp()
      looked = instant(clock)
      const newer = await newest(follower.shard, follower.state.head > state.head ? follower.state : state, isFreeIn)
      if (newer === state) await bell.wait(looked.monotonic + LOOK_MS - clock.monotonic())
      state = newer
    }
  }
}

/**
 * The state after what was written since, as far as it is enough: no request lies between the entry that lets go and the fence. That the
 * log was not trimmed meanwhile is looked at with the fence.
 */
async function newest(
  { context, log }: StoreHandle['shard'],
  from: ShardState,
  isEnough: (state: ShardState) => boolean,
): Promise<ShardState> {
  const sent = moment(context, log)
  let state = from
  for await (const { entries, time } of tailOf(log.log, from.head + 1)) {
    noteTime(context, log, time)
    for (const { n, bytes } of entries) {
      if (n !== state.head + 1) return state
      state = applyEntry(state, await parseEntry(log, n, bytes))
      if (state.seal || isEnough(state)) return state
    }
  }
  log.free = sent
  return state
}

/** Whether a fence bothers nobody: the holder is this member or none, has let go, or has had its time. */
function isFree(turn: Turn | undefined, { control, member, handoffMs, leaseMs }: Taking, waitedMs: number): boolean {
  if (turn === undefined || turn.isReleased) return true
  const holder = toHex(turn.member)
  // The holder looks at the control store every third of a lease.
  return holder === member || !control.state.members.has(holder) || waitedMs >= handoffMs + leaseMs / 3
}

/** Appends the fence on the newest state that is known; `undefined` when something newer was met that forbids it. */
async function fence(
  follower: StoreHandle,
  state: ShardState,
  turn: Turn,
  check: (newer: ShardState) => void,
): Promise<ShardState | undefined> {
  const { context, log } = follower.shard
  const judge = (newer: ShardState | undefined): void => check(newer!)
  try {
    const request = { signal: undefined, check: judge, turn, folds: true }
    const next = await claim(context, log, state, 'exclusive', request)
    if (next === undefined) throw new Ended('The log was trimmed, or is another one.')
    return next
  } catch (error) {
    if (error instanceof NotYet) return undefined
    throw error
  }
}
