/**
 * Members in virtual time, each with a lease and two neighbours to watch, in the seeded simulator: processes on machines that sleep,
 * with clocks that jump and stand still; freezes, crashes, lost replies and short outages; machines that are copied; supervisors
 * that start a frozen process anew. The list of members is a set here, which each reads and changes over its line.
 */
import type { Clock, Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty, simulate, type Actor, type Fault, type Simulation } from 'tidemark/testing'
import { fromHex } from '../../src/bytes/hex.js'
import { sleep } from '../../src/clock.js'
import { decodeLease, leasePath, removeLease } from '../../src/group/lease.js'
import { Presence } from '../../src/group/presence.js'
import { newState, Renewal, type RenewalState } from '../../src/group/renewal.js'
import { intercept } from '../../src/storage/intercept.js'

const LEASE = 9_000
const THIRD = LEASE / 3
const WAY = 250
/** Four looks, a swap and a removal, each there and back. */
const SLACK = 12 * WAY
const STORE = 's'

const MODES = ['smooth', 'clocks', 'freeze', 'blips', 'double', 'clone', 'restart', 'mixed'] as const
export type Mode = (typeof MODES)[number]

interface World {
  readonly sim: Simulation
  readonly mode: Mode
  readonly storage: Storage
  readonly members: Set<string>
  /** When each lease was written last. */
  readonly renewed: Map<string, number>
  readonly processes: Process[]
  failure: Error | undefined
  /** Removes who is dead, and nobody else. */
  remove(member: string): Promise<unknown>
  /** From now on nothing fails. */
  isCalm: boolean
}

class Process {
  id: string | undefined
  isOver = false
  losses = 0
  readonly actor: Actor
  /** Its machine slept, or it was frozen, from when to when. */
  readonly away: { readonly from: number; readonly to: number }[] = []
  readonly #world: World
  #state: RenewalState
  #outage = { from: 0, to: 0 }
  #jump = 0
  /** The id of the machine that it was copied from. */
  #copied: string | undefined

  constructor(
    world: World,
    readonly machine: number,
    copied?: Process,
  ) {
    this.#world = world
    this.#state = copied ? structuredClone(copied.#state) : newState()
    this.#copied = copied?.id
    world.processes.push(this)
    this.actor = world.sim.actor(`p${world.processes.length}`, (me) => this.#run(me))
  }

  jump(ms: number): void {
    this.#jump += ms
  }

  /** It stands still for a while. When the machine slept, one of its clocks may have stood still, too. */
  freeze(ms: number, clock: 'runs' | 'stops' = 'runs'): void {
    const from = this.#world.sim.clock.monotonic()
    this.away.push({ from, to: from + ms })
    this.#world.sim.stall(this.actor, ms, clock)
    if (clock === 'stops') this.jump(ms)
  }

  crash(): void {
    this.isOver = true
    this.#world.sim.crash(this.actor)
  }

  breakLine(ms: number): void {
    const from = this.#world.sim.clock.monotonic()
    this.#outage = { from, to: from + ms }
  }

  async #run(me: Actor): Promise<void> {
    const { sim, members } = this.#world
    const line = faulty(me.storage(this.#world.storage), () => this.#fault())
    const clock = this.#clock(me)
    while (!this.isOver) {
      const presence = await this.#begin(line, clock).catch(() => undefined)
      if (!presence) {
        this.#state = newState()
        continue
      }
      const { member, gone } = presence
      const isListed = await me.call('joins', () => Promise.resolve(!gone.aborted && Boolean(members.add(member))))
      if (isListed) this.id = member
      while (!gone.aborted && !this.isOver) {
        presence.watch(await me.call('members', () => Promise.resolve([...members])))
        await sleep(clock, THIRD * (0.8 + sim.random.next() * 0.2))
      }
      this.id = undefined
      this.#state = newState()
      if (this.isOver) {
        await me.call('leaves', () => Promise.resolve(members.delete(member)))
        await presence.leave()
      }
    }
  }

  #begin(storage: Storage, clock: Clock): Promise<Presence> {
    const place = { storage, store: STORE, leaseMs: LEASE, clock }
    return Presence.begin({
      ...place,
      renewer: { start: (options) => new Renewal(options, this.#state).start() },
      lost: (reason) => this.#lose(reason),
      dead: async (member) => {
        await this.actor.call(`removes ${member}`, () => this.#world.remove(member))
        await removeLease(place, member)
      },
      silent: () => undefined,
      failed: () => undefined,
    })
  }

  #lose(reason: string): void {
    this.losses++
    if (reason === 'foreign' && !['clone', 'mixed'].includes(this.#world.mode))
      this.#world.failure ??= new Error(`${this.actor.name} took its lease for that of another`)
  }

  #clock(me: Actor): Clock {
    const { clock } = me
    return {
      ...clock,
      now: () => clock.now() + this.#jump,
      random: (length) => {
        const copied = this.#copied
        this.#copied = undefined
        return copied ? fromHex(copied) : clock.random(length)
      },
    }
  }

  #fault(): Fault | undefined {
    const { sim, mode, isCalm } = this.#world
    const now = sim.clock.monotonic()
    if (isCalm) return undefined
    if (now >= this.#outage.from && now < this.#outage.to)
      return sim.random.chance(0.3) ? 'reply-lost' : sim.random.chance(0.5) ? 'unknown-before' : 'error-before'
    if (mode === 'smooth' || mode === 'double') return undefined
    return sim.random.chance(0.01) ? (sim.random.chance(0.5) ? 'reply-lost' : 'error-after') : undefined
  }
}

/** Watches what is written: a lease that is buried must be a lease old. */
function guarded(world: Omit<World, 'storage' | 'remove'>, inner: Storage): Storage {
  return intercept(inner, async (call, run) => {
    const answer = await run(call.signal)
    if (call.method !== 'swap' || (answer as { outcome?: string }).outcome !== 'committed') return answer
    const now = world.sim.clock.monotonic()
    const { member, isDead } = decodeLease(call.bytes!, 'it')
    if (!isDead) {
      world.renewed.set(member, now)
      return answer
    }
    world.sim.note(`${member} is buried`)
    const age = now - (world.renewed.get(member) ?? -Infinity)
    if (age < LEASE) world.failure ??= new Error(`${member} was buried ${age} ms after it renewed its lease`)
    const process = world.processes.find(({ id, isOver }) => id === member && !isOver)
    if (process && ['smooth', 'blips', 'double'].includes(world.mode))
      world.failure ??= new Error(`${member} was buried, and was never away`)
    const slept = process?.away.at(-1)
    const others = world.processes.filter((other) => other !== process && !other.isOver)
    const isAlone = others.some(({ away }) => away.at(-1)?.to !== slept?.to)
    if (slept && !isAlone && now >= slept.to && now - slept.to < LEASE / 2)
      world.failure ??= new Error(`${member} was buried right after all had slept`)
    return answer
  })
}

/** One run; throws, naming the seed and the mode, when a promise does not hold. */
export async function lives(seed: number, mode: Mode = MODES[seed % MODES.length]!): Promise<void> {
  try {
    await simulate({ seed, delayMs: [30, WAY], slow: { chance: 0, ms: 0 } }, async (sim) => {
      const base: Omit<World, 'storage' | 'remove'> = {
        sim,
        mode,
        members: new Set<string>(),
        renewed: new Map(),
        processes: [],
        isCalm: false,
        failure: undefined,
      }
      const storage = guarded(base, memory())
      const remove = async (member: string): Promise<unknown> => {
        const { bytes } = await storage.anchor(leasePath(STORE, member)).read()
        const isDead = bytes === undefined || decodeLease(bytes, 'it').isDead
        if (!isDead) base.failure ??= new Error(`${member} was removed, and is not dead`)
        return base.members.delete(member)
      }
      const world: World = Object.assign(base, { storage, remove })
      await new Adversary(world).run()
    })
  } catch (error) {
    throw new Error(`seed ${seed}, ${mode}: ${String(error)}`, { cause: error })
  }
}

class Adversary {
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  async run(): Promise<void> {
    const world = this.#world
    const { sim, mode, processes } = world
    const machines = mode === 'clocks' && sim.random.chance(0.5) ? 1 : 3
    const count = mode === 'double' ? 5 : 2 + sim.random.below(3)
    for (let i = 0; i < count; i++) new Process(world, i % machines)
    await this.#pass(2 * LEASE)
    for (let i = 0; i < 8; i++) {
      await this.#act(mode)
      await this.#pass(THIRD + sim.random.next() * 2 * LEASE)
    }
    world.isCalm = true
    await this.#pass(10 * LEASE)
    this.#judge()
    for (const process of processes) process.isOver = true
    await Promise.all(processes.map(({ actor }) => actor.done))
  }

  /** Where nothing happens any more all that live are members, nobody else is, and nobody lost more than he had to. */
  #judge(): void {
    const { processes, members, failure } = this.#world
    if (failure) throw failure
    const living = processes.filter(({ isOver }) => !isOver)
    for (const { id, actor, losses } of living) {
      if (id === undefined || !members.has(id)) throw new Error(`${actor.name} lives, and is no member`)
      if (losses > 6) throw new Error(`${actor.name} was out ${losses} times`)
    }
    if (new Set(living.map(({ id }) => id)).size < living.length) throw new Error('two have one identity')
    if (members.size > living.length) throw new Error(`${members.size - living.length} are dead, and members`)
  }

  async #act(mode: Mode): Promise<void> {
    const { sim, processes } = this.#world
    const living = processes.filter(({ isOver }) => !isOver)
    const one = living[sim.random.below(living.length)]!
    const isOften = sim.random.chance(0.5)
    switch (mode) {
      case 'smooth':
        if (isOften && living.length > 2) one.isOver = true
        else if (living.length < 6) new Process(this.#world, 0)
        return
      case 'clocks':
        if (isOften) this.#sleep(one.machine)
        else await this.#jumpAll(living)
        return
      case 'freeze':
        if (isOften) one.freeze(LEASE * (0.5 + 4 * sim.random.next()))
        else if (living.length > 2) one.crash()
        return
      case 'blips':
        for (let i = 0; i < 4; i++) {
          for (const each of living)
            if (sim.random.chance(0.7)) each.breakLine(THIRD * (0.2 + sim.random.next() * 0.25))
          await this.#pass(THIRD * (0.8 + sim.random.next() * 0.4))
        }
        return
      case 'double':
        if (living.length === 5) await this.#crashTwo(living)
        return
      case 'clone':
        if (isOften && one.id !== undefined && living.length < 8) new Process(this.#world, one.machine, one)
        return
      case 'restart':
        if (!isOften || living.length >= 8) return
        one.freeze(3 * LEASE * (0.3 + sim.random.next()))
        new Process(this.#world, one.machine)
        return
      case 'mixed':
        return this.#act(MODES[1 + sim.random.below(6)]!)
    }
  }

  /** Clocks are set while lines are broken for a while, so that two looks find the same. */
  async #jumpAll(living: readonly Process[]): Promise<void> {
    const { sim } = this.#world
    for (let i = 0; i < 4; i++) {
      for (const each of living) if (sim.random.chance(0.5)) each.breakLine(THIRD * sim.random.next())
      await this.#pass(THIRD * sim.random.next())
      for (const each of living) each.jump((sim.random.next() - 0.5) * 6 * LEASE)
    }
  }

  #sleep(machine: number): void {
    const { sim, processes } = this.#world
    const ms = LEASE * (1 + 3 * sim.random.next())
    const clock = sim.random.chance(0.7) ? 'stops' : 'runs'
    for (const each of processes) if (each.machine === machine && !each.isOver) each.freeze(ms, clock)
  }

  /** Two that stand side by side die at once: both are found as soon as one would be. */
  async #crashTwo(living: readonly Process[]): Promise<void> {
    const { sim, members } = this.#world
    const ring = living.toSorted((a, b) => (a.id! < b.id! ? -1 : 1))
    const at = sim.random.below(ring.length)
    const two = [ring[at]!, ring[(at + 1) % ring.length]!]
    const ids = two.map(({ id }) => id!)
    for (const each of two) each.crash()
    await this.#pass((4 / 3) * LEASE + SLACK)
    const left = ids.filter((id) => members.has(id))
    if (left.length > 0 && this.#world.mode === 'double')
      throw new Error(`${left.length} that died beside each other are still members`)
  }

  #pass(ms: number): Promise<void> {
    return sleep(this.#world.sim.clock, ms)
  }
}
