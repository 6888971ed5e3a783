/**
 * Many members of one group in virtual time that join, leave, crash and freeze at random for ten minutes. Events of the source come only
 * when they are let through, so that the time passes in few steps, and it is seen at the end whether each partition is worked on.
 */
import { openStore, type Storage } from 'tidemark'
import { joinGroup, rescale, type Group } from 'tidemark/group'
import { memory } from 'tidemark/memory'
import { simulate, type Actor, type Simulation } from 'tidemark/testing'
import { sleep } from '../../src/clock.js'

const LEASE = 15_000
const MEMBERS = 20
const SHARDS = 24
const MINUTES = 10
const NAME = 's'

export async function comingAndGoing(seed: number): Promise<void> {
  const options = {
    seed,
    maxSteps: 2_000_000,
    delayMs: [5, 40],
    slow: { chance: 0.001, ms: 1000 },
    realMs: 60_000,
  } as const
  await simulate(options, (sim) => new Crowd(sim).go())
}

interface Living {
  readonly actor: Actor
  group?: Group
  isGone: boolean
  leave: () => void
}

class Crowd {
  readonly #sim: Simulation
  readonly #storage: Storage = memory()
  readonly #living = new Set<Living>()
  /** How many events of each partition are let through, and who waits for more. */
  #open = 1
  readonly #waiting = new Set<() => void>()
  /** How many events of each partition are committed. */
  readonly #done = new Map<number, number>()
  #names = 0
  #frozenUntil = 0

  constructor(sim: Simulation) {
    this.#sim = sim
  }

  async go(): Promise<void> {
    const { clock, random } = this.#sim
    await this.#create()
    for (let i = 0; i < MEMBERS; i++) this.#join()
    const end = clock.monotonic() + MINUTES * 60_000
    let last = clock.monotonic()
    while (clock.monotonic() < end) {
      await sleep(clock, random.next() * 2 * LEASE)
      if (this.#change()) last = Math.max(clock.monotonic(), this.#frozenUntil)
      if (random.chance(0.2)) this.#letThrough()
    }
    await sleep(clock, Math.max(0, last - clock.monotonic()))
    await this.#settled(last + 2 * LEASE)
    for (const { actor } of this.#living) this.#sim.crash(actor)
  }

  async #create(): Promise<void> {
    const { clock } = this.#sim
    const place = { storage: this.#sim.storage(this.#storage), name: NAME }
    const store = await openStore({ ...place, partitions: SHARDS, clock, logger: false })
    await store.close()
    await rescale(place, { shards: SHARDS }, { clock })
  }

  #join(): void {
    let leave!: () => void
    const leaving = new Promise<void>((resolve) => (leave = resolve))
    const one: Living = { actor: undefined as never, isGone: false, leave }
    const actor = this.#sim.actor(`m${++this.#names}`, async (me) => {
      const { clock } = me
      const storage = me.storage(this.#storage)
      one.group = await joinGroup({ storage, name: NAME, leaseMs: LEASE, standbys: 0, clock, logger: false })
      const running = this.#run(one.group, me)
      await leaving
      await one.group.leave()
      await running
    })
    this.#living.add(Object.assign(one, { actor }))
  }

  #change(): boolean {
    const { random } = this.#sim
    const ready = [...this.#living].filter(({ group }) => group)
    const one = ready[random.below(ready.length)]!
    const lot = random.next()
    const few = this.#living.size < MEMBERS
    if (few && lot < 0.6) this.#join()
    else if (lot < 0.7) this.#part(one, () => one.leave())
    else if (lot < 0.9) this.#part(one, () => this.#sim.crash(one.actor))
    else if (lot < 0.95) {
      const ms = random.next() * 2 * LEASE
      this.#sim.stall(one.actor, ms)
      this.#frozenUntil = Math.max(this.#frozenUntil, this.#sim.clock.monotonic() + ms)
    } else return false
    return true
  }

  #part(one: Living, how: () => void): void {
    one.isGone = true
    this.#living.delete(one)
    how()
  }

  async #run(group: Group, me: Actor): Promise<void> {
    const isOpen = (offset: number): boolean => offset < this.#open
    const waiting = this.#waiting
    const source = {
      name: 'events',
      async *read(partition: number, from: unknown, { signal }: { readonly signal: AbortSignal }) {
        let wake = (): void => undefined
        signal.addEventListener('abort', () => wake(), { once: true })
        for (let offset = Number(from ?? 0); !signal.aborted;) {
          if (isOpen(offset)) yield { offset: offset++, key: String(partition), value: 1 }
          else await new Promise<void>((resolve) => waiting.add((wake = resolve)))
        }
      },
    }
    const handler = async (
      _event: unknown,
      state: { get(key: string): Promise<number | undefined>; put(key: string, value: number): void },
    ): Promise<void> => {
      await sleep(me.clock, 5)
      state.put('n', ((await state.get('n')) ?? 0) + 1)
    }
    await group.run(source as never, handler as never, {
      everyMs: 100,
      onProgress: ({ offsets }) => {
        for (const [partition, next] of Object.entries((offsets['events'] ?? {}) as object))
          this.#done.set(Number(partition), Math.max(this.#done.get(Number(partition)) ?? 0, next as number))
      },
    })
  }

  #letThrough(): void {
    this.#open++
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** Waits until nothing is on its way, each shard is held by a living member, and each works off what is let through then. */
  async #settled(until: number): Promise<void> {
    const { clock } = this.#sim
    let wrong: string | undefined
    do {
      await sleep(clock, LEASE / 20)
      wrong = this.#wrong()
    } while (wrong && clock.monotonic() < until)
    if (wrong) throw new Error(`After two leases ${wrong}.`)
    this.#letThrough()
    await sleep(clock, LEASE / 3)
    for (let partition = 0; partition < SHARDS; partition++) {
      const done = this.#done.get(partition) ?? 0
      if (done < this.#open) throw new Error(`Partition ${partition} has worked off ${done} of ${this.#open} events.`)
    }
    const storage = this.#sim.storage(this.#storage)
    const store = await openStore<string, number>({ storage, name: NAME, mode: 'follower', logger: false, clock })
    for (let partition = 0; partition < SHARDS; partition++) {
      const count = await store.partition(partition).get('n')
      if (count !== this.#open) throw new Error(`Partition ${partition} has counted ${count} of ${this.#open} events.`)
    }
    await store.close()
  }

  /** What is not at rest. */
  #wrong(): string | undefined {
    const all = [...this.#living]
    if (all.some(({ group }) => !group)) return 'somebody has not joined'
    const held = new Map<number, string[]>()
    for (const { group } of all) {
      const { member, owned } = group!.status()
      for (const { first } of owned) held.set(first, [...(held.get(first) ?? []), member])
    }
    const { group } = all[0]!
    for (const { first, owner, next } of group!.assignment()) {
      if (next) return `shard ${first} is on its way`
      if (!owner) return `shard ${first} has no owner`
      const holders = held.get(first) ?? []
      if (holders.join() !== owner) return `shard ${first} of ${owner} is held by ${holders.join() || 'nobody'}`
    }
    return undefined
  }
}
