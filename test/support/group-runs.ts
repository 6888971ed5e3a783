/**
 * Whole groups in virtual time: processes that are frozen, that crash and come back, whose clocks are off or stand still, whose requests
 * and replies are lost; shards that are split and merged meanwhile. What was acknowledged is compared with what is there at the end.
 */
import { memory } from 'tidemark/memory'
import {
  joinGroup,
  rescale,
  type Group,
  type GroupOptions,
  type HandlerContext,
  type ShardProgress,
} from 'tidemark/group'
import { openStore, type Storage } from 'tidemark'
import { faulty, simulate, type Actor, type Fault, type Simulation } from 'tidemark/testing'
import { sleep } from '../../src/clock.js'

const LEASE = 3_000
const EVENTS = 10
const NAME = 's'

/** An acknowledged commit of a shard. */
interface Acknowledged {
  readonly first: number
  readonly last: number
  readonly version: number
  readonly token: number
  readonly positions: ReadonlyMap<number, number>
}

interface Process {
  readonly actor: Actor
  readonly skewMs: number
  group?: Group
  isGone: boolean
  /** It has begun to leave. */
  isLeaving: boolean
}

export const MODES = ['smooth', 'freezes', 'clocks', 'crashes', 'lines', 'shards', 'mixed'] as const
export type Mode = (typeof MODES)[number]

export async function groupRun(seed: number, mode: Mode = MODES[seed % MODES.length]!): Promise<void> {
  const options = {
    seed,
    delayMs: [1, 15],
    slow: { chance: 0.005, ms: 400 },
    maxSteps: 400_000,
    realMs: 20_000,
  } as const
  const { value, trace } = await simulate(options, (sim) => new Run(sim, mode).go())
  if (value) throw Object.assign(new Error(`Seed ${seed}, ${mode}: ${value}`), { trace })
}

class Run {
  readonly #sim: Simulation
  readonly #mode: Mode
  readonly #storage: Storage = memory()
  readonly #partitions: number
  readonly #processes: Process[] = []
  readonly #acknowledged: Acknowledged[] = []
  /** How often each event was begun. */
  readonly #begun = new Map<string, number>()
  #isCalm = false
  #ids = 0

  constructor(sim: Simulation, mode: Mode) {
    this.#sim = sim
    this.#mode = mode
    this.#partitions = 3 + sim.random.below(4)
  }

  /** Resolves with what is wrong. */
  async go(): Promise<string | undefined> {
    const { random } = this.#sim
    await this.#prepare()
    const count = 2 + random.below(2)
    for (let i = 0; i < count; i++) this.#join()
    for (let i = 0; i < 8; i++) {
      await this.#pass(LEASE * (0.2 + random.next()))
      await this.#disturb()
    }
    this.#isCalm = true
    if (!this.#processes.some(({ isGone, isLeaving }) => !isGone && !isLeaving)) this.#join()
    let wrong = await this.#settle()
    wrong ??= this.#judge(await this.#counts())
    for (const each of this.#processes) if (!each.isGone) this.#sim.crash(each.actor)
    return wrong
  }

  /** The store, of some shards. */
  async #prepare(): Promise<void> {
    const sim = this.#sim
    const storage = sim.storage(this.#storage)
    const store = await openStore({
      storage,
      name: NAME,
      partitions: this.#partitions,
      clock: sim.clock,
      logger: false,
    })
    await store.close()
    const shards = 1 + sim.random.below(3)
    if (shards > 1) await rescale({ storage, name: NAME }, { shards }, { clock: sim.clock })
  }

  #join(): void {
    const { random } = this.#sim
    const isOff = this.#mode === 'clocks' || this.#mode === 'mixed'
    const skewMs = isOff ? random.below(20 * LEASE) - 10 * LEASE : 0
    const name = `m${++this.#ids}`
    const process: { -readonly [K in keyof Process]: Process[K] } = {
      actor: undefined as never,
      skewMs,
      isGone: false,
      isLeaving: false,
    }
    process.actor = this.#sim.actor(name, (me) => this.#live(process, me), { skewMs })
    this.#processes.push(process)
  }

  async #live(process: Process, me: Actor): Promise<void> {
    const { clock } = me
    const line = me.storage(this.#storage)
    const storage = this.#mode === 'lines' || this.#mode === 'mixed' ? faulty(line, () => this.#fault()) : line
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
    await this.#run(process.group, me)
    process.isGone = true
  }

  #fault(): Fault | undefined {
    const { random } = this.#sim
    if (this.#isCalm || !random.chance(0.02)) return undefined
    return random.chance(0.5) ? 'error-before' : 'error-after'
  }

  async #run(group: Group, me: Actor): Promise<void> {
    const partitions = this.#partitions
    const { random } = this.#sim
    const tokens = new Map<string, number>()
    const source = {
      name: 'events',
      partitions,
      async *read(partition: number, from: unknown) {
        for (let offset = (from as number | undefined) ?? 0; offset < EVENTS; offset++) {
          yield await Promise.resolve({ offset, key: String(partition), value: 1 })
        }
      },
    }
    const handler = async (
      event: { readonly offset: number; readonly key: string },
      state: { get(key: string): Promise<number | undefined>; put(key: string, value: number): void },
      _emit: unknown,
      { token, shard, signal }: HandlerContext,
    ): Promise<void> => {
      tokens.set(shard.id, token)
      const what = `${event.key}/${event.offset}`
      this.#begun.set(what, (this.#begun.get(what) ?? 0) + 1)
      this.#sim.note(`${me.name} begins ${what} by ${token}${signal.aborted ? ' although its signal has fired' : ''}`)
      await sleep(me.clock, 20 + random.below(300))
      state.put('n', ((await state.get('n')) ?? 0) + 1)
    }
    const onProgress = ({ shard, version, offsets }: ShardProgress): void => {
      const { first, last, id } = shard
      const positions = new Map<number, number>()
      for (const [partition, next] of Object.entries((offsets['events'] ?? {}) as object)) {
        positions.set(Number(partition), next as number)
      }
      this.#acknowledged.push({ first, last, version, token: tokens.get(id)!, positions })
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
      clocks: ['sleep', 'join', 'leave'],
      crashes: ['crash', 'join'],
      lines: ['join', 'leave', 'nothing'],
      shards: ['rescale', 'split', 'join', 'leave'],
      mixed: ['freeze', 'sleep', 'crash', 'join', 'leave', 'rescale', 'split'],
    }
    const choice = kinds[this.#mode]
    const kind = choice[random.below(choice.length)]!
    this.#sim.note(`now: ${kind}`)
    if (kind === 'join' && live.length < 5) this.#join()
    if (one === undefined) return
    if (kind === 'leave' && live.length > 1) void this.#leave(one)
    if (kind === 'freeze') this.#sim.stall(one.actor, LEASE * (0.5 + 3 * random.next()))
    if (kind === 'sleep')
      this.#sim.stall(one.actor, LEASE * (0.5 + 3 * random.next()), random.chance(0.5) ? 'runs' : 'stops')
    if (kind === 'crash') {
      one.isGone = true
      this.#sim.crash(one.actor)
    }
    if (kind === 'rescale') void this.#rescale(one)
    if (kind === 'split') await this.#split()
  }

  /** Within the process, so that it is frozen and crashes with it. */
  async #leave(process: Process): Promise<void> {
    process.isLeaving = true
    await sleep(process.actor.clock, 1)
    await process.group!.leave({ timeoutMs: 4 * LEASE }).catch(() => undefined)
  }

  async #rescale(process: Process): Promise<void> {
    const shards = 1 + this.#sim.random.below(this.#partitions)
    await sleep(process.actor.clock, 1)
    await process.group!.rescale({ shards }).catch(() => undefined)
  }

  /** From outside of the group. */
  async #split(): Promise<void> {
    const sim = this.#sim
    const shards = 1 + sim.random.below(this.#partitions)
    const place = { storage: sim.storage(this.#storage), name: NAME }
    await rescale(place, { shards }, { clock: sim.clock }).catch((error: unknown) =>
      sim.note(`not split: ${String(error)}`),
    )
  }

  #pass(ms: number): Promise<void> {
    return sleep(this.#sim.clock, ms)
  }

  /** When all that failed has stopped, everything is done in the end. */
  async #settle(): Promise<string | undefined> {
    const all = this.#partitions * EVENTS
    for (let i = 0; i < 60; i++) {
      await this.#pass(LEASE)
      if (this.#begun.size < all) continue
      const counts = await this.#counts()
      if (counts.every((count) => count >= EVENTS)) return undefined
    }
    return `It does not come to its end: ${(await this.#counts()).join()} of ${EVENTS}.`
  }

  async #counts(): Promise<number[]> {
    const { clock } = this.#sim
    const storage = this.#sim.storage(this.#storage)
    const store = await openStore<string, number>({ storage, name: NAME, mode: 'follower', logger: false, clock })
    const counts: number[] = []
    for (let i = 0; i < this.#partitions; i++) counts.push((await store.partition(i).get('n')) ?? 0)
    await store.close()
    return counts
  }

  #judge(counts: readonly number[]): string | undefined {
    const wrong = counts.flatMap((count, i) => (count === EVENTS ? [] : [`partition ${i} has counted ${count}`]))
    if (wrong.length > 0) return `Of ${EVENTS} events each: ${wrong.join(', ')}.`
    for (let partition = 0; partition < this.#partitions; partition++) {
      const own = this.#acknowledged.filter(({ first, last }) => first <= partition && partition <= last)
      own.sort((a, b) => a.version - b.version)
      for (const [i, next] of own.entries()) {
        const before = own[i - 1]
        if (!before) continue
        if (before.version === next.version) return `Version ${next.version} was acknowledged twice.`
        if (before.token > next.token) return `Owner ${next.token} was acknowledged after ${before.token}.`
        const [was, is] = [before.positions.get(partition) ?? 0, next.positions.get(partition) ?? 0]
        if (was > is) return `Partition ${partition} went from ${was} back to ${is}.`
      }
    }
    if (this.#mode !== 'smooth') return undefined
    for (const [what, times] of this.#begun) {
      if (times > 1) return `Event ${what} was begun ${times} times although nothing failed.`
    }
    return undefined
  }
}
