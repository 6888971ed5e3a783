/** A group as programs see it: one process that owns shards of a store together with others. */
import { singleFlight } from '../async.js'
import type { Key } from '../bytes/keys.js'
import type { Clock } from '../clock.js'
import { invalid, TidemarkError } from '../errors.js'
import type { ShardContext } from '../engine/context.js'
import { rangesOf } from '../engine/shards/plan.js'
import { Events } from '../store/events.js'
import type { StoreHandle } from '../store/handle.js'
import { partitionOf } from '../store/reads.js'
import type { Logger } from '../store/open-options.js'
import { whole } from '../store/options.js'
import { checkConsumeOptions, type ConsumeOptions } from '../stream/options.js'
import { checkSource, type Source } from '../stream/source.js'
import { GroupChanges, rangeOf } from './changes.js'
import { Control } from './control.js'
import { GROUP_EVENTS, type GroupEvents } from './events.js'
import type { End, Keeper } from './keeper.js'
import { findFamily, goOn, openFollower } from './logs.js'
import { Member, type MemberHost } from './member.js'
import type { GroupHandler, GroupRunOptions, GroupRunResult, Program, ShardRange } from './program.js'
import type { LeaveOptions, ResolvedGroupOptions } from './options.js'
import { inOrder, type Shard } from './state.js'
import { checkScale, type Scale } from './rescale.js'
import { aimed, unpark } from './transitions.js'
import { assignmentIn, membersIn, type GroupStatus, type MemberInfo, type ShardAssignment } from './views.js'

const LEAVE_MS = 30_000

/**
 * A member of a group, as `joinGroup` returns it. It owns shards, and goes on renewing its lease and following the others until it
 * leaves. When it was taken for dead it joins again by itself, as another member.
 */
export class Group implements MemberHost {
  readonly control: Control
  readonly clock: Clock
  readonly leaseMs: number
  readonly handoffMs: number
  readonly store: MemberHost['store']
  readonly about: MemberHost['about']
  readonly lease: MemberHost['lease']
  program: Program | undefined
  readonly #root: string
  readonly #ctx: ShardContext
  readonly #events: Events<GroupEvents>
  readonly #changes: GroupChanges
  readonly #logger: Logger | false | undefined
  readonly #once = singleFlight()
  /** Of calls that wait for the control store to say something else. */
  readonly #waits = new Set<() => void>()
  #member: Member | undefined
  #leaving: Promise<void> | undefined
  /** Ends the program. */
  #stop = (): void => undefined

  /** @internal */
  constructor(control: Control, options: ResolvedGroupOptions, ctx: ShardContext, root: string) {
    this.#ctx = ctx
    const { store, leaseMs, handoffMs, zone, weight, info, renewer } = options
    this.control = control
    this.#root = root
    this.clock = store.clock
    this.leaseMs = leaseMs
    this.handoffMs = handoffMs
    this.store = store
    this.about = { zone, weight, info }
    this.lease = { storage: store.storage, store: store.name, leaseMs, clock: store.clock, renewer }
    this.#logger = store.logger
    this.#events = new Events<GroupEvents>(GROUP_EVENTS, (message, cause) => this.#log(message, cause))
    const generation = (): number => control.generation
    this.#changes = new GroupChanges(this.#events, generation, () => this.#owned.map(({ shard }) => shard))
  }

  /** Becomes a member. */
  async join(signal?: AbortSignal): Promise<void> {
    this.#changes.follow(this.control.state)
    this.#member = await Member.begin(this, signal)
  }

  get #owned(): readonly Keeper[] {
    return this.#member?.owned ?? []
  }

  /** The control store says something else. */
  changed(): void {
    this.#changes.follow(this.control.state)
    this.#wake()
    this.#member?.changed()
  }

  #wake(): void {
    for (const resolve of this.#waits) resolve()
    this.#waits.clear()
  }

  openFollower(id: string): Promise<StoreHandle> {
    return openFollower(this.store, this.#root, id)
  }

  gained({ shard }: Keeper): void {
    this.#changes.add('newlyAssigned', shard)
  }

  ended({ shard }: Keeper, how: End): void {
    this.#changes.add(how, shard)
  }

  /** Puts what follows on logs that were sealed in their place; it is made where it is missing. */
  sealed(): Promise<void> {
    return this.#once('sealed', () => goOn(this.#ctx, this.store, this.control))
  }

  /** A life has ended against its will: another one begins. */
  out(member: Member): void {
    if (this.#leaving || this.#member !== member) return
    void this.#rejoin()
  }

  async #rejoin(): Promise<void> {
    for (;;) {
      try {
        // Of a store that was destroyed nothing is made anew.
        await findFamily(this.#ctx, this.store)
        const member = await Member.begin(this)
        if (this.#leaving) await member.leave(0)
        else this.#member = member
        return
      } catch (cause) {
        if (this.#leaving) return
        this.warn('This process is no member of its group any more, and could not join again yet.', cause)
        await new Promise<void>((resolve) => void this.clock.timer(this.leaseMs / 3, resolve))
      }
    }
  }

  warn(message: string, cause?: unknown): void {
    this.#log(message, cause)
    this.#events.emit('warning', { message, cause })
  }

  #log(message: string, cause: unknown): void {
    const logger = this.#logger ?? console
    if (!logger) return
    if (cause === undefined) logger.warn?.(message)
    else logger.warn?.(message, cause)
  }

  /**
   * Calls `listener` after every such event. It is not waited for, and what it throws or rejects with is told to the logger.
   * @returns a function that stops it
   * @throws `INVALID_ARGUMENT` when there is no such event, or the listener is no function
   * @example
   *     group.on('rebalance', ({ assigned, lost }) => console.log(assigned.length, 'shards;', lost.length, 'lost'))
   */
  on<E extends keyof GroupEvents>(event: E, listener: (detail: GroupEvents[E]) => unknown): () => void {
    return this.#events.on(event, listener)
  }

  /**
   * Takes the events of `source` into the shards that this member owns, now and later, as `consume()` does it on one store: each
   * event has its effect once, whichever member handles it. Positions stand in each shard, and go with it.
   *
   * The handler's `signal` aborts when its shard is lost; what it does from then on does not count. `token` rises with each owner. A
   * handler that throws has its events handled again after a pause; the third time at one position the shard is parked.
   *
   * @returns how many events this member has handled, and the commits, when it has left or `signal` has aborted
   * @throws `INVALID_ARGUMENT` for a wrong option, source or handler, and while something else runs
   * @throws `CLOSED` after `leave()`
   * @example
   *     await group.run(source, async (event, state, emit, { signal }) => {
   *       state.put(event.key, await price(event.value, { signal }))
   *     })
   */
  async run<V, O = unknown, K extends Key = Key, S = unknown, E = Key | undefined>(
    source: Source<V, E>,
    handler: GroupHandler<V, O, K, S, E>,
    options: GroupRunOptions<O> = {},
  ): Promise<GroupRunResult> {
    this.#assertMember()
    checkSource(source as Source)
    if (typeof handler !== 'function') throw invalid('run: a handler function is expected.')
    if (this.program) throw invalid('run: this member runs something already; end that first, by its signal.')
    checkConsumeOptions(options as ConsumeOptions)
    const { signal, ...rest } = options
    const totals = { events: 0, commits: 0 }
    const program: Program = {
      source: source as Source,
      handler: handler as unknown as GroupHandler,
      options: rest as GroupRunOptions,
      isEnding: false,
      runs: new Set(),
      totals,
    }
    let resolve!: () => void
    const ended = new Promise<void>((given) => (resolve = given))
    const end = (): void => {
      program.isEnding = true
      for (const each of program.runs) each()
      resolve()
    }
    this.#stop = end
    if (signal?.aborted) end()
    else signal?.addEventListener('abort', end, { once: true })
    this.program = program
    this.#member?.changed()
    await ended
    signal?.removeEventListener('abort', end)
    this.program = undefined
    await Promise.all(this.#owned.map(({ tenure }) => tenure!.running))
    return { ...totals }
  }

  /** Who is a member, by the newest generation that is known. */
  members(): MemberInfo[] {
    return membersIn(this.control.state)
  }

  /** The shards, by their partitions, with who owns them by the newest generation that is known. */
  assignment(): ShardAssignment[] {
    return assignmentIn(this.control.state)
  }

  /** What this member is, and what it owns now: the shards whose logs it has taken over. */
  status(): GroupStatus {
    const member = this.#member
    return {
      member: member?.member ?? '',
      generation: this.control.generation,
      leaseAgeMs: member?.awayMs() ?? Infinity,
      owned: this.#owned.map(({ shard, tenure }) => ({
        ...rangeOf(shard),
        token: tenure!.token,
        version: tenure!.store.version,
      })),
    }
  }

  /**
   * The owner of the partition of a key, by the newest generation that is known, with what it told of itself; `undefined` while nobody
   * owns it. It may be another one by the time it is asked.
   * @example
   *     const owner = group.ownerOf('k1')
   *     if (owner) await fetch(`${owner.info.url}/orders/k1`)
   */
  ownerOf(key: Key): { readonly member: string; readonly info: unknown; readonly shard: ShardRange } | undefined {
    const { settings, members } = this.control.state
    const shard = this.#shardOf(partitionOf(key, settings.partitions))
    const owner = shard.owner === undefined ? undefined : members.get(shard.owner)
    return owner && { member: owner.id, info: owner.info, shard: rangeOf(shard) }
  }

  #shardOf(partition: number): Shard {
    const found = inOrder(this.control.state).find(({ first, last }) => first <= partition && partition <= last)
    if (found === undefined) throw invalid(`shard: there is no partition ${partition}.`)
    return found
  }

  /**
   * Splits and merges shards while their owners go on: each splits its own, and neighbours come together at one that seals them. Resolves
   * when the shards are those that are wanted.
   *
   * @throws `INVALID_ARGUMENT` when there can be no such shards
   * @throws `CONFLICT` while they are on their way to others; `CLOSED` when this process leaves meanwhile
   * @example
   *     await group.rescale({ shards: 64 })
   */
  async rescale(scale: Scale): Promise<void> {
    this.#assertMember()
    const { partitions } = this.control.state.settings
    const cuts = checkScale(scale)(partitions)
    rangesOf(cuts, partitions)
    await this.control.transact((state) => aimed(state, { cuts: [...cuts] }))
    while (this.control.state.target?.cuts.join() === cuts.join()) {
      this.#assertMember()
      await new Promise<void>((resolve) => this.#waits.add(resolve))
    }
  }

  /**
   * Gives a parked shard to the members again, once what killed its owners is mended.
   * @param shard a partition of it, or what the event `parked` told
   * @throws `INVALID_ARGUMENT` when there is no such partition; `CLOSED` after `leave()`
   * @example
   *     await group.unpark(5)
   */
  async unpark(shard: number | { readonly first: number }): Promise<void> {
    this.#assertMember()
    const { id } = this.#shardOf(typeof shard === 'number' ? shard : shard.first)
    await this.control.transact((state) => unpark(state, id))
  }

  /**
   * Leaves: the events in hand are finished and committed, and each shard goes to another member, before this one is none any more.
   * `run` resolves then.
   * @throws `STORAGE_UNAVAILABLE` when the storage does not answer; others find this member dead then
   * @example
   *     process.once('SIGTERM', () => void group.leave({ timeoutMs: 20_000 }))
   */
  leave(options: LeaveOptions = {}): Promise<void> {
    const timeoutMs = whole('timeoutMs', options.timeoutMs, LEAVE_MS, 0)
    this.#leaving ??= this.#leave(timeoutMs)
    return this.#leaving
  }

  async #leave(timeoutMs: number): Promise<void> {
    try {
      await this.#member?.leave(timeoutMs)
    } finally {
      this.#stop()
      this.#wake()
      await this.control.close()
    }
  }

  #assertMember(): void {
    if (this.#leaving) throw new TidemarkError('CLOSED', 'This process has left the group; join it again.')
  }

  /** `leave()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.leave()
  }
}
