/**
 * What a member does with one shard, for as long as the control store names it there: it follows the shard as a standby, makes
 * itself warm as the next owner and takes it by its own word (G8), owns it, and lets it go. There are no commands: it makes true
 * what was read last (G7).
 */
import type { Clock } from '../clock.js'
import { TidemarkError } from '../errors.js'
import type { StoreHandle } from '../store/handle.js'
import { Bell } from './bell.js'
import type { Control } from './control.js'
import { hasEnded } from './logs.js'
import type { Program } from './program.js'
import { runOn, type Failure } from './runner.js'
import type { LivingLog, Shard } from './state.js'
import { Tenure } from './tenure.js'
import { cleared, taken, threw } from './transitions.js'
import { Ended, take, type Taken } from './turn.js'

export type Role = 'owner' | 'next' | 'standby' | 'none'
/** How a tenure ends: with its last commit, or without. */
export type End = 'revoked' | 'lost'

/** The member whose keeper it is. */
export interface KeeperHost {
  readonly member: string
  readonly clock: Clock
  readonly control: Control
  readonly leaseMs: number
  readonly handoffMs: number
  /** What runs on each shard. */
  readonly program: Program | undefined
  /** How long ago that was sent which last proved the lease. */
  awayMs(): number
  openFollower(id: string): Promise<StoreHandle>
  gained(keeper: Keeper): void
  ended(keeper: Keeper, how: End): void
  /** The log of a shard ends with a seal: others follow on it. */
  sealed(id: string): Promise<void>
  warn(message: string, cause?: unknown): void
}

/** What was meant to happen did not: it is tried again after a part of a lease. */
const AGAIN = 12

export class Keeper {
  readonly shard: LivingLog
  role: Role = 'none'
  tenure: Tenure | undefined
  /** Nothing more comes of it; another one takes its place. */
  isDone = false
  readonly #host: KeeperHost
  readonly #bell: Bell
  #isRunning = false
  /** Others have come in its place, by this member. */
  #isReplaced = false
  #follower: StoreHandle | undefined
  /** Why the member is out, once it is. */
  #out: { readonly reason: unknown } | undefined
  /** How often in a row something failed. */
  #failures = 0

  constructor(host: KeeperHost, shard: LivingLog) {
    this.#host = host
    this.shard = shard
    this.#bell = new Bell(host.clock)
  }

  /** Makes true that the member has this role from now on. */
  want(role: Role): void {
    if (this.#isReplaced) return
    const isNew = this.role !== role
    this.role = role
    if (role !== 'owner') this.tenure?.stop()
    // Whoever only follows has nothing to read because the control store says something of others.
    if (isNew || this.tenure) this.#bell.ring()
    if (role === 'none' || this.#isRunning) return
    this.#isRunning = true
    void this.#live()
  }

  /** The member is out: nothing is released any more. */
  lose(reason: unknown): void {
    this.role = 'none'
    this.#out = { reason }
    this.tenure?.lose(reason)
    this.#bell.ring()
  }

  /** Ends what runs, so that the log can be sealed. The shard stays with this member. */
  async rest(): Promise<Tenure> {
    const { tenure } = this
    tenure?.rest(true)
    await tenure?.running
    if (!tenure || tenure.lost.aborted || this.role !== 'owner' || tenure !== this.tenure) {
      throw new TidemarkError('CONFLICT', 'The shard has gone to another member meanwhile.')
    }
    return tenure
  }

  /** Goes on after a rest. */
  resume(): void {
    if (this.#isReplaced) return
    this.tenure?.rest(false)
    this.#bell.ring()
  }

  /** Its log was sealed, by this member. */
  replaced(): void {
    this.want('none')
    this.#isReplaced = true
  }

  /** Owns from now on what was made here. */
  adopt(handle: StoreHandle, taken: Taken): void {
    this.role = 'owner'
    this.#isRunning = true
    void this.#hold(handle, taken)
      .catch((error: unknown) => this.#warn('is not held any more', error))
      .then(() => this.#live())
  }

  /** What follows the log, while nobody here owns it. */
  get follower(): StoreHandle | undefined {
    return this.#follower
  }

  get #row(): Shard | undefined {
    return this.#host.control.state.shards.get(this.shard.id)
  }

  async #live(): Promise<void> {
    while (this.role !== 'none') {
      try {
        await (this.role === 'owner' ? this.#own() : this.#follow())
        this.#failures = 0
      } catch (error) {
        await this.#fail(error)
      }
    }
    this.isDone = true
    await this.#letGo()
  }

  async #fail(cause: unknown): Promise<void> {
    const { clock, leaseMs } = this.#host
    const { first, last } = this.shard
    await this.#letGo()
    if (cause instanceof Ended) {
      await this.#host.sealed(this.shard.id).catch((error: unknown) => this.#warn('does not go on', error))
    } else if (this.role !== 'none') {
      this.#host.warn(`Shard ${first}-${last} could not be opened, and is tried again.`, cause)
    }
    const pause = (leaseMs / AGAIN) * Math.min(2 ** this.#failures++, AGAIN)
    const until = clock.monotonic() + pause
    for (let left = pause; left > 0 && this.role !== 'none'; left = until - clock.monotonic()) {
      await this.#bell.wait(left)
    }
  }

  #warn(what: string, cause: unknown): void {
    const { first, last } = this.shard
    this.#host.warn(`Shard ${first}-${last} ${what}.`, cause)
  }

  /** Gives up what it follows. */
  async #letGo(): Promise<void> {
    const follower = this.#follower
    this.#follower = undefined
    await follower?.close().catch((error: unknown) => this.#warn('could not be closed', error))
  }

  async #followed(): Promise<StoreHandle> {
    return (this.#follower ??= await this.#host.openFollower(this.shard.id))
  }

  /** Follows once, as a standby or as the next owner, and waits until there may be more. */
  async #follow(): Promise<void> {
    const { control, member, leaseMs } = this.#host
    const follower = await this.#followed()
    const before = follower.state.head
    // Nothing is read while nothing is written: the owner says when there is more.
    if (this.role === 'standby' && before >= (this.#row?.quietAt ?? Infinity)) {
      await this.#bell.wait()
      return
    }
    await follower.catchUp()
    if (hasEnded(follower, this.shard.id)) throw new Ended('The log was sealed.')
    const isWarm = follower.state.head - before <= control.state.settings.warmEntries
    if (this.role === 'next' && isWarm && this.#row?.next === member) {
      await control.transact((state, now) => taken(state, this.shard.id, member, now))
    } else if (this.role !== 'next' || isWarm) {
      await this.#bell.wait(leaseMs / 3)
    }
  }

  /** Takes the shard over, and owns it until it is to go or is lost. */
  async #own(): Promise<void> {
    const host = this.#host
    const { member, clock, control, leaseMs, handoffMs } = host
    const follower = await this.#followed()
    const isWanted = (): boolean => this.role === 'owner' && this.#row?.owner === member
    const taking = { clock, control, member, leaseMs, handoffMs, bell: this.#bell, isWanted, shard: this.shard.id }
    const got = await take(follower, taking)
    if (got === undefined) {
      // What it says now is told to this keeper as well.
      if (this.role === 'owner') await this.#bell.wait(leaseMs / 3)
      return
    }
    this.#follower = undefined
    await this.#hold(follower, got)
  }

  async #hold(handle: StoreHandle, got: Taken): Promise<void> {
    const host = this.#host
    const { clock, leaseMs } = host
    const isSuspect = (this.#row?.fails ?? 0) > 0
    const tenure = new Tenure(handle, got, { clock, leaseMs, isSuspect, awayMs: () => host.awayMs() })
    this.tenure = tenure
    // It may have been given up, or lost, while it was taken.
    if (this.#out) tenure.lose(this.#out.reason)
    else if (this.role !== 'owner') tenure.stop()
    host.gained(this)
    let end: End = 'lost'
    try {
      end = await this.#serve(tenure)
    } finally {
      this.tenure = undefined
      host.ended(this, end)
      // A handler that never returns is left behind.
      const closing = tenure.close().catch((error: unknown) => this.#warn('could not be closed', error))
      if (end === 'revoked') await closing
    }
  }

  async #serve(tenure: Tenure): Promise<End> {
    const lost = new Promise<'lost'>((resolve) => {
      tenure.lost.addEventListener('abort', () => resolve('lost'), { once: true })
    })
    const serving = this.#work(tenure).then(
      () => 'revoked' as const,
      (error: unknown) => {
        tenure.lose(error)
        return 'lost' as const
      },
    )
    const end = await Promise.race([serving, lost])
    if (this.#isReplaced) return 'revoked'
    return tenure.lost.aborted ? 'lost' : end
  }

  /** Runs what is to be run, until the shard is to go. */
  async #work(tenure: Tenure): Promise<void> {
    let done: Program | undefined
    let pause: number | undefined
    while (!tenure.releasing.aborted && !tenure.lost.aborted) {
      const { program } = this.#host
      if (program === undefined || program === done || tenure.resting.aborted) {
        await this.#bell.wait()
        continue
      }
      const running = runOn(tenure, program, this.shard)
      tenure.running = running
      const failure = await running
      if (failure === undefined) done = tenure.resting.aborted ? done : program
      else if (!tenure.lost.aborted) {
        pause = await this.#failed(tenure, failure, pause)
        await this.#pause(pause, tenure)
      }
    }
    if (tenure.lost.aborted) throw tenure.lost.reason
    if (!this.#isReplaced) await tenure.release()
  }

  async #pause(ms: number, tenure: Tenure): Promise<void> {
    const { clock } = this.#host
    const until = clock.monotonic() + ms
    for (let left = ms; left > 0; left = until - clock.monotonic()) {
      if (tenure.releasing.aborted || tenure.lost.aborted) return
      await this.#bell.wait(left)
    }
  }

  /** A run failed; answers how long it is until the next one. */
  async #failed(tenure: Tenure, { cause, at }: Failure, pause: number | undefined): Promise<number> {
    const { control, member, leaseMs } = this.#host
    // Only opening it again tells what is there. A handler may fail with the same codes, by stores of its own.
    if (tenure.handle.shard.hasEnded) throw cause
    this.#warn(at ? 'was given up by its handler, which threw' : 'could not be read on, and is tried again', cause)
    const { id } = this.shard
    if (at) {
      const hasMoved = tenure.threw(at)
      await control.transact((state) => threw(hasMoved ? cleared(state, id, member) : state, id, member))
    }
    return Math.min(leaseMs, pause === undefined ? leaseMs / 3 : pause * 2)
  }
}
