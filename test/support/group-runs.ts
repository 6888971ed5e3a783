/**
 * Whole groups in virtual time: processes that are frozen, that crash and come back, whose clocks are off, are set or stand still, whose
 * requests and replies are lost; shards that are split, merged and collected while events come in. What was acknowledged is compared with
 * what is there at the end.
 */
import { joinGroup, type Group, type GroupOptions, type HandlerContext, type ShardProgress } from 'tidemark/group'
import { openStore, type Clock } from 'tidemark'
import { faulty, simulate, type Actor, type Fault, type Simulation } from 'tidemark/testing'
import { sleep } from '../../src/clock.js'
import { GroupRecord } from './group-record.js'
import { roomyGround, smallGround, type Collected, type Ground } from './group-ground.js'
import { NAME } from './rescaled-versions-world.js'

const LEASE = 3_000
/** Events come in for about as long as things happen. */
const PAUSE = 3_400

/** A process of the group. */
interface Process {
  readonly actor: Actor
  /** How far its clock of the day was set. */
  jumpMs: number
  /** Its monotonic clock stood still for a while. */
  hasStopped: boolean
  /** Both of its clocks may have missed a time. */
  isBlind: boolean
  group?: Group
  isGone: boolean
  /** It has begun to leave. */
  isLeaving: boolean
}

export const MODES = ['smooth', 'freezes', 'clocks', 'crashes', 'lines', 'shards', 'mixed'] as const
/** An answer that never comes is waited for by the deadline of a request, which is a lease here. */
const FAULTS: readonly Fault[] = [
  'error-before',
  'error-before',
  'error-after',
  'error-after',
  'unknown-before',
  'reply-lost',
]

export type Mode = (typeof MODES)[number] | 'collections'

/** One run; throws, naming the seed, when a promise does not hold. */
export async function groupRun(seed: number, mode: Mode): Promise<Collected> {
  try {
    return await judged(seed, mode)
  } catch (error) {
    throw new Error(`seed ${seed}, ${mode}: ${String(error)}`, { cause: error })
  }
}

async function judged(seed: number, mode: Mode): Promise<Collected> {
  const options = {
    seed,
    delayMs: [1, 15],
    slow: { chance: 0.005, ms: 400 },
    maxSteps: 400_000,
    realMs: 20_000,
  } as const
  let ground!: Ground
  const { value, trace } = await simulate(options, (sim) => {
    ground = mode === 'collections' ? smallGround(sim) : roomyGround(sim)
    return new Run(sim, mode, ground).go()
  })
  if (value) throw Object.assign(new Error(value), { trace })
  return ground.judge()
}

class Run {
  readonly #sim: Simulation
  readonly #mode: Mode
  readonly #ground: Ground
  readonly #processes: Process[] = []
  readonly #record = new GroupRecord(LEASE)
  #isCalm = false
  #ids = 0

  constructor(sim: Simulation, mode: Mode, ground: Ground) {
    this.#sim = sim
    this.#mode = mode
    this.#ground = ground
  }

  /** Resolves with what is wrong. */
  async go(): Promise<string | undefined> {
    const { random } = this.#sim
    await this.#prepare()
    this.#ground.begin()
    const count = 2 + random.below(2)
    for (let i = 0; i < count; i++) this.#join()
    for (let i = 0; i < 8; i++) {
      await this.#pass(LEASE * (0.2 + random.next()))
      await this.#disturb()
    }
    this.#isCalm = true
    if (!this.#processes.some(({ isGone, isLeaving }) => !isGone && !isLeaving)) this.#join()
    let wrong = await this.#settle()
    wrong ??= this.#record.judge(await this.#counts(), this.#ground.events, this.#mode === 'smooth')
    for (const each of this.#processes) if (!each.isGone) this.#sim.crash(each.actor)
    return wrong
  }

  /** The store, of some shards. */
  async #prepare(): Promise<void> {
    const sim = this.#sim
    const storage = sim.storage(this.#ground.storage)
    const store = await openStore({
      storage,
      name: NAME,
      partitions: this.#ground.partitions,
      clock: sim.clock,
      logger: false,
      ...this.#ground.store,
    })
    await store.close()
    const shards = 1 + sim.random.below(3)
    if (shards > 1) await this.#ground.rescale(storage, shards)
  }

  #join(): void {
    const { random } = this.#sim
    const isOff = ['clocks', 'mixed', 'collections'].includes(this.#mode)
    const skewMs = isOff ? random.below(20 * LEASE) - 10 * LEASE : 0
    const name = `m${++this.#ids}`
    const process: { -readonly [K in keyof Process]: Process[K] } = {
      actor: undefined as never,
      jumpMs: 0,
      hasStopped: false,
      isBlind: false,
      isGone: false,
      isLeaving: false,
    }
    process.actor = this.#sim.actor(name, (me) => this.#live(process, me), { skewMs })
    this.#processes.push(process)
  }

  async #live(process: Process, me: Actor): Promise<void> {
    const clock: Clock = { ...me.clock, now: () => me.clock.now() + process.jumpMs }
    const line = me.storage(this.#ground.storage)
    const storage = ['lines', 'mixed', 'collections'].includes(this.#mode) ? faulty(line, () => this.#fault()) : line
    const options: GroupOptions = {
      storage,
      name: NAME,
      leaseMs: LEASE,
      standbys: this.#sim.seed % 3 === 0 ? 1 : 0,
      coolMs: 2 * LEASE,
      handoffMs: 2 * LEASE,
      timeoutMs: LEASE,
      clock,
      logger: false,
      store: this.#ground.store,
    }
    for (;;) {
      try {
        process.group = await joinGroup(options)
        break
      } catch {
        await sleep(clock, 200)
      }
    }
    process.group.on('warning', ({ message, cause }) =>
      this.#sim.note(`${me.name} warns: ${message} (${String(cause)})`),
    )
    process.group.on('rebalance', (detail) => {
      const { newlyAssigned, revoked, lost } = detail
      const list = (shards: readonly { first: number; last: number }[]): string =>
        shards.map(({ first, last }) => `${first}-${last}`).join()
      this.#sim.note(`${me.name}: +${list(newlyAssigned)} -${list(revoked)} !${list(lost)}`)
    })
    await this.#run(process.group, process, me)
    process.isGone = true
  }

  #fault(): Fault | undefined {
    const { random } = this.#sim
    if (this.#isCalm || !random.chance(0.02)) return undefined
    return FAULTS[random.below(FAULTS.length)]
  }

  async #run(group: Group, process: Process, me: Actor): Promise<void> {
    const { partitions, events, keysOf } = this.#ground
    const { random } = this.#sim
    const tokens = new Map<string, number>()
    const source = {
      name: 'events',
      partitions,
      async *read(partition: number, from: unknown, { signal }: { readonly signal: AbortSignal }) {
        for (let offset = (from as number | undefined) ?? 0; offset < events; offset++) {
          await sleep(me.clock, random.next() * PAUSE, signal)
          if (signal.aborted) return
          yield { offset, key: String(partition), value: 1 }
        }
      },
    }
    const handler = async (
      event: { readonly offset: number; readonly key: string },
      state: { get(key: string): Promise<number | undefined>; put(key: string, value: unknown): void },
      _emit: unknown,
      { token, shard, signal }: HandlerContext,
    ): Promise<void> => {
      tokens.set(shard.id, token)
      const what = `${event.key}/${event.offset}`
      const partition = Number(event.key)
      this.#record.begun.push({ what, by: process, partition, token, at: this.#sim.clock.monotonic() })
      this.#sim.note(`${me.name} begins ${what} by ${token}${signal.aborted ? ' although its signal has fired' : ''}`)
      await sleep(me.clock, 20 + random.below(300))
      const [key, large] = keysOf(partition)
      const count = ((await state.get(key!)) ?? 0) + 1
      state.put(key!, count)
      if (large) state.put(large, String(count).padEnd(random.below(200), '.'))
    }
    const onProgress = ({ shard, version, offsets }: ShardProgress): void => {
      const { first, last, id } = shard
      const positions = new Map<number, number>()
      for (const [partition, next] of Object.entries((offsets['events'] ?? {}) as object)) {
        positions.set(Number(partition), next as number)
      }
      this.#record.acknowledged.push({ first, last, version, token: tokens.get(id)!, positions })
    }
    await group.run(source as never, handler as never, { everyMs: 150, onProgress })
  }

  /** Something happens. */
  async #disturb(): Promise<void> {
    const { random } = this.#sim
    const live = this.#processes.filter(({ isGone, isLeaving, group }) => !isGone && !isLeaving && group)
    const one = live[random.below(Math.max(1, live.length))]
    const kinds: Record<Mode, readonly string[]> = {
      smooth: ['join', 'leave', 'nothing'],
      freezes: ['freeze', 'freeze', 'join', 'nothing'],
      clocks: ['sleep', 'sleep', 'set', 'join', 'leave'],
      crashes: ['crash', 'join'],
      lines: ['join', 'leave', 'nothing'],
      shards: ['rescale', 'split', 'join', 'leave'],
      mixed: ['freeze', 'sleep', 'set', 'crash', 'join', 'leave', 'rescale', 'split'],
      collections: ['freeze', 'sleep', 'crash', 'join', 'leave', 'rescale', 'rescale', 'split'],
    }
    const choice = kinds[this.#mode]
    const kind = choice[random.below(choice.length)]!
    this.#sim.note(`now: ${kind}`)
    if (kind === 'join' && live.length < 5) this.#join()
    if (one === undefined) return
    if (kind === 'leave' && live.length > 1) void this.#leave(one)
    if (kind === 'freeze') this.#sim.stall(one.actor, LEASE * (0.5 + 3 * random.next()))
    if (kind === 'sleep') this.#sleep(one)
    if (kind === 'set') this.#set(one)
    if (kind === 'crash') {
      one.isGone = true
      this.#sim.crash(one.actor)
    }
    if (kind === 'rescale') void this.#rescale(one)
    if (kind === 'split') void this.#split()
  }

  /** The machine sleeps: both of its clocks go on, or the one of the day alone, or none. */
  #sleep(process: Process): void {
    const { random } = this.#sim
    const ms = LEASE * (0.5 + 3 * random.next())
    const running = random.below(3)
    this.#sim.stall(process.actor, ms, running === 2 ? 'runs' : 'stops')
    if (running === 2) return
    process.hasStopped = true
    if (running === 1) process.jumpMs += ms
    process.isBlind ||= running === 0
  }

  /** Somebody sets the clock of the day. */
  #set(process: Process): void {
    process.jumpMs += (this.#sim.random.next() - 0.5) * 10 * LEASE
    process.isBlind ||= process.hasStopped
  }

  /** Within the process, so that it is frozen and crashes with it. */
  async #leave(process: Process): Promise<void> {
    process.isLeaving = true
    await sleep(process.actor.clock, 1)
    await process.group!.leave({ timeoutMs: 4 * LEASE }).catch(() => undefined)
  }

  async #rescale(process: Process): Promise<void> {
    const shards = 1 + this.#sim.random.below(this.#ground.partitions)
    await sleep(process.actor.clock, 1)
    await process.group!.rescale({ shards }).catch(() => undefined)
  }

  /** From outside of the group. */
  async #split(): Promise<void> {
    const sim = this.#sim
    const shards = 1 + sim.random.below(this.#ground.partitions)
    const storage = sim.storage(this.#ground.storage)
    await this.#ground.rescale(storage, shards).catch((error: unknown) => sim.note(`not split: ${String(error)}`))
  }

  #pass(ms: number): Promise<void> {
    return sleep(this.#sim.clock, ms)
  }

  /** When all that failed has stopped, everything is done in the end. */
  async #settle(): Promise<string | undefined> {
    const { partitions, events } = this.#ground
    for (let i = 0; i < 60; i++) {
      await this.#pass(LEASE)
      if (new Set(this.#record.begun.map(({ what }) => what)).size < partitions * events) continue
      const counts = await this.#counts()
      if (counts.every((count) => count >= events)) return undefined
    }
    return `It does not come to its end: ${(await this.#counts()).join()} of ${events}.`
  }

  async #counts(): Promise<number[]> {
    const { clock } = this.#sim
    const storage = this.#sim.storage(this.#ground.storage)
    const store = await openStore<string, number>({ storage, name: NAME, mode: 'follower', logger: false, clock })
    const counts: number[] = []
    for (let i = 0; i < this.#ground.partitions; i++)
      counts.push((await store.partition(i).get(this.#ground.keysOf(i)[0]!)) ?? 0)
    await store.close()
    return counts
  }
}
