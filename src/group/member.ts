/**
 * One life of a member: every third of a lease it looks at the control store, decides with all others who owns what (G6), and
 * makes true what it says of this member. Whoever finds its lease gone or dead has lost all, and begins another life.
 */
import { sleep, type Clock } from '../clock.js'
import { TidemarkError } from '../errors.js'
import type { StoreHandle } from '../store/handle.js'
import type { ResolvedOptions } from '../store/open-options.js'
import { assign } from './assign.js'
import { blames } from './blame.js'
import { Bell } from './bell.js'
import type { Control } from './control.js'
import { Keeper, type End, type KeeperHost, type Role } from './keeper.js'
import { removeLease } from './lease.js'
import { isWell } from './living.js'
import { Presence, type PresenceOptions } from './presence.js'
import type { Program } from './program.js'
import { Rescaler, type RescalerHost } from './rescaler.js'
import { ASSIGN_VERSION, type GroupState, type LivingLog, type Member as MemberRow, type Shard } from './state.js'
import type { Taken } from './turn.js'
import { bury, cleared, join, leave, left, quieted, released } from './transitions.js'

/** The group as a member sees it. */
export interface MemberHost {
  readonly clock: Clock
  readonly control: Control
  readonly leaseMs: number
  readonly handoffMs: number
  readonly store: ResolvedOptions
  readonly program: Program | undefined
  readonly lease: Pick<PresenceOptions, 'storage' | 'store' | 'leaseMs' | 'clock' | 'renewer'>
  readonly about: Pick<MemberRow, 'zone' | 'weight' | 'info'>
  openFollower(id: string): Promise<StoreHandle>
  gained(keeper: Keeper): void
  ended(keeper: Keeper, how: End): void
  sealed(id: string): Promise<void>
  /** The member is out, and has lost all. */
  out(member: Member): void
  warn(message: string, cause?: unknown): void
}

/** Every so many turns it decides although nothing has changed: a time may have come. */
const IDLE_TURNS = 4
/** A shard to which nothing was written for so many leases is quiet: that is told once, where standbys would go on asking. */
const QUIET_LEASES = 4

export class Member implements KeeperHost, RescalerHost {
  readonly #host: MemberHost
  readonly #presence: Presence
  readonly #keepers = new Map<string, Keeper>()
  readonly #bell: Bell
  readonly #burying = new Set<string>()
  readonly #rescaler: Rescaler
  #isLeaving = false
  #decided: GroupState | undefined
  #idle = 0
  /** Since when this member is missing in the control store. */
  #missing: number | undefined

  /** Begins a life: first the lease, then the row of the member. */
  static async begin(host: MemberHost, signal?: AbortSignal): Promise<Member> {
    const life: { member?: Member } = {}
    const presence = await Presence.begin({
      ...host.lease,
      signal,
      lost: (reason) =>
        life.member?.lose(new TidemarkError('FENCED', `The lease of this member was lost (${reason}).`)),
      dead: (other) => life.member?.bury(other),
      silent: (cause) => life.member?.fallSilent(cause),
      failed: (cause) => host.warn('A lease could not be renewed or looked at.', cause),
    })
    const member = new Member(host, presence)
    life.member = member
    try {
      await member.#join()
    } catch (error) {
      await presence.leave()
      throw error
    }
    void member.#live()
    return member
  }

  private constructor(host: MemberHost, presence: Presence) {
    this.#host = host
    this.#presence = presence
    this.#bell = new Bell(host.clock)
    this.#rescaler = new Rescaler(this)
  }

  get member(): string {
    return this.#presence.member
  }

  get clock(): Clock {
    return this.#host.clock
  }

  get control(): Control {
    return this.#host.control
  }

  get leaseMs(): number {
    return this.#host.leaseMs
  }

  get handoffMs(): number {
    return this.#host.handoffMs
  }

  get program(): Program | undefined {
    return this.#host.program
  }

  /** The shards that it owns now, by their partitions. */
  get owned(): readonly Keeper[] {
    return [...this.#keepers.values()]
      .filter(({ tenure }) => tenure !== undefined)
      .sort((a, b) => a.shard.first - b.shard.first)
  }

  get store(): ResolvedOptions {
    return this.#host.store
  }

  followed(id: string): StoreHandle | undefined {
    return this.#keepers.get(id)?.follower
  }

  keeperOf(id: string): Keeper | undefined {
    return this.#keepers.get(id)
  }

  adopt(shard: LivingLog, handle: StoreHandle, taken: Taken): void {
    const keeper = new Keeper(this, shard)
    this.#keepers.set(shard.id, keeper)
    keeper.adopt(handle, taken)
    const { gone } = this.#presence
    if (gone.aborted) keeper.lose(gone.reason)
  }

  awayMs(): number {
    return this.#presence.awayMs()
  }

  openFollower(id: string): Promise<StoreHandle> {
    return this.#host.openFollower(id)
  }

  gained(keeper: Keeper): void {
    this.#host.gained(keeper)
  }

  ended(keeper: Keeper, how: End): void {
    this.#host.ended(keeper, how)
    this.#bell.ring()
  }

  sealed(id: string): Promise<void> {
    return this.#host.sealed(id)
  }

  warn(message: string, cause?: unknown): void {
    if (!this.#presence.gone.aborted) this.#host.warn(message, cause)
  }

  /** What the control store says has changed, or what is run. */
  changed(): void {
    this.#bell.ring()
  }

  /** This life is over: all is lost. */
  lose(reason: unknown): void {
    this.#presence.stop()
    for (const keeper of this.#keepers.values()) keeper.lose(reason)
    this.#bell.ring()
    this.#host.out(this)
  }

  /** No renewal was acknowledged for a lease: what it owns may be somebody else's by now. */
  fallSilent(cause: unknown): void {
    for (const { tenure } of this.#keepers.values()) tenure?.lose(cause)
  }

  async #join(): Promise<void> {
    const { about } = this.#host
    const row = { ...about, id: this.member, isLeaving: false, assignVersion: ASSIGN_VERSION }
    await this.control.transact((state, now) => decide(join(state, { ...row, joinedAt: Math.floor(now) }), now))
  }

  async #live(): Promise<void> {
    const { gone } = this.#presence
    let isTold = true
    let next = this.clock.monotonic()
    while (!gone.aborted) {
      try {
        await this.#turn(isTold)
      } catch (cause) {
        this.warn('The control store of the group could not be read or changed; it is tried again.', cause)
      }
      if (!isTold) next = this.clock.monotonic() + this.leaseMs / 3
      if (gone.aborted) return
      isTold = await this.#bell.wait(next - this.clock.monotonic())
    }
  }

  /** One turn; who was told of something has read it already. */
  async #turn(isTold: boolean): Promise<void> {
    if (!isTold) await this.control.look()
    const { state } = this.control
    if (!state.members.has(this.member)) return this.#miss()
    this.#missing = undefined
    this.#presence.watch(state.members.keys())
    // It may take as long as the storage does, and its errors are those of the next commit as well.
    for (const { tenure } of this.owned) void tenure!.lookBeside().catch(() => undefined)
    this.#follow()
    await this.#decide()
    await this.#tell()
    if (!this.#isLeaving) await this.#rescaler.consider()
  }

  /** A member that is missing was buried, and its lease will tell. But if that is renewed, the control store was made anew. */
  async #miss(): Promise<void> {
    for (const keeper of this.#keepers.values()) keeper.want('none')
    this.#missing ??= this.clock.monotonic()
    const isAlive = this.clock.monotonic() - this.#missing > this.awayMs()
    if (isAlive && !this.#isLeaving) await this.#join()
  }

  /** Everybody decides, nobody twice: of two transactions one finds what the other has written. */
  async #decide(): Promise<void> {
    const { state } = this.control
    if (this.#decided === state && ++this.#idle % IDLE_TURNS !== 0) return
    this.#decided = state
    if (decide(state, this.control.now()) !== state) await this.control.transact(decide)
  }

  /** Makes true what the control store says. */
  #follow(): void {
    const { shards } = this.control.state
    for (const [id, keeper] of this.#keepers) {
      if (keeper.isDone) this.#keepers.delete(id)
      else if (!shards.has(id) && !this.#rescaler.isUntold(id)) keeper.want('none')
    }
    for (const shard of shards.values()) {
      const role = this.#roleFor(shard)
      const known = this.#keepers.get(shard.id)
      if (!known && role === 'none') continue
      const keeper = known ?? new Keeper(this, shard)
      if (!known) this.#keepers.set(shard.id, keeper)
      keeper.want(role)
    }
  }

  #roleFor({ owner, next, standbys, isParked }: Shard): Role {
    const me = this.member
    if (isParked) return 'none'
    if (owner === me) return this.#isLast() ? 'none' : 'owner'
    if (next === me) return 'next'
    return standbys.includes(me) ? 'standby' : 'none'
  }

  /** Whether it leaves, and there is nobody to hand anything to. */
  #isLast(): boolean {
    return this.#isLeaving && [...this.control.state.members.values()].every(({ isLeaving }) => isLeaving)
  }

  /** Says of each shard that it owns whether it is none that kills (G11), and whether standbys have something to read. */
  async #tell(): Promise<void> {
    const { clock, leaseMs, member } = this
    const about = this.owned.map(({ shard, tenure }) => ({
      id: shard.id,
      isWell: isWell(tenure!, clock, leaseMs),
      quietAt: tenure!.quietAt(QUIET_LEASES * leaseMs),
    }))
    const tell = (state: GroupState): GroupState =>
      about.reduce((now, { id, isWell: isClear, quietAt }) => {
        const next = quieted(now, id, member, quietAt)
        return isClear ? cleared(next, id, member) : next
      }, state)
    if (tell(this.control.state) !== this.control.state) await this.control.transact(tell)
  }

  /** A watched member is dead: it is removed, and what it owned goes to others (G2). */
  async bury(dead: string): Promise<void> {
    if (this.#burying.has(dead)) return
    this.#burying.add(dead)
    try {
      const { state } = this.control
      if (!state.members.has(dead)) await this.control.look()
      const found = await blames(this.control.state, dead, this)
      await this.control.transact((now, time) => decide(bury(now, dead, found), time))
      const { storage, store } = this.#host.lease
      await removeLease({ ...this.#host.lease, storage, store }, dead)
    } finally {
      this.#burying.delete(dead)
    }
  }

  /** Hands off what it owns, and goes. What it still owns after `timeoutMs` is lost. */
  async leave(timeoutMs: number): Promise<void> {
    const { member, control, clock } = this
    const until = clock.monotonic() + timeoutMs
    this.#isLeaving = true
    try {
      await control.transact((state, now) => decide(leave(state, member), now))
      this.changed()
      while (!this.#presence.gone.aborted && clock.monotonic() < until && !this.#hasLeft()) {
        await this.#giveBack()
        await sleep(clock, Math.min(this.leaseMs / 24, until - clock.monotonic()), this.#presence.gone)
      }
      await this.#giveBack(true)
      await control.transact((state, now) => decide(left(state, member), now))
    } finally {
      // Where that failed, others find this member dead.
      const reason = new TidemarkError('CLOSED', 'This process has left the group.')
      for (const keeper of this.#keepers.values()) keeper.lose(reason)
      await this.#presence.leave()
      this.#bell.ring()
    }
  }

  #hasLeft(): boolean {
    const isOwner = [...this.control.state.shards.values()].some(({ owner }) => owner === this.member)
    return !isOwner && [...this.#keepers.values()].every(({ isDone }) => isDone)
  }

  /** Says of shards that it has let go, and nobody could take, that they are nobody's. */
  async #giveBack(all = false): Promise<void> {
    const { member, control } = this
    const mine = [...control.state.shards.values()].filter(({ id, owner }) => {
      const keeper = this.#keepers.get(id)
      return owner === member && (all || (this.#isLast() && (!keeper || keeper.isDone)))
    })
    if (mine.length === 0) return
    await control.transact((state) => mine.reduce((now, { id }) => released(now, id, member), state))
  }
}

/** Who owns what, by members that know the recorded version of the function (G6). */
function decide(state: GroupState, now: number): GroupState {
  if (state.settings.assignVersion !== ASSIGN_VERSION) return state
  return assign(state, now)
}
