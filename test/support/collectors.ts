/**
 * Owners that take a store from one another and collect, beside followers, in the seeded simulator: each held up now and
 * then for longer than the grace period, at the calls where that is most dangerous.
 */
import { isTidemarkError, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { simulate, type Actor, type Simulation } from 'tidemark/testing'
import { verify } from 'tidemark/tools'
import { sleep, systemClock, type Clock } from '../../src/clock.js'
import { ALL_RULES, type Rules } from '../../src/shard/rules.js'
import { intercept, type Call, type Run } from '../../src/storage/intercept.js'
import { probe } from '../../src/storage/probe.js'
import { Engine } from '../../src/store/engine.js'
import { resolveOptions } from '../../src/store/options.js'
import { Store } from '../../src/store/store.js'
import { collect } from './storages.js'
import { codeOf, Truth, type Contents } from './truth.js'

export const GRACE = 3_000
const NAME = 'sim'

export interface World {
  readonly sim: Simulation
  readonly rules: Rules
  readonly truth: Truth
  readonly storage: Storage
  readonly hasTime: boolean
  /** The storage's answer when there is nothing. */
  readonly absent: () => unknown
  readonly retain: number
  /** Who was told that a version is his. */
  readonly acknowledged: Map<number, string>
  /** What surely was not applied. */
  readonly refused: Set<string>
  /** Tags and forks that were made, and of which versions. */
  readonly tags: Map<string, number>
  readonly untagged: Set<string>
  readonly forks: Map<string, number>
}

/**
 * Objects as in S3, of which a create looks at nothing but its own name; `create` leaves the look at the trim number to the
 * create, as databases can.
 */
export function objects(clock: Clock | undefined, trim: 'create' | 'writer'): Storage {
  const storage = memory({ clock })
  if (trim === 'create') return storage
  return {
    ...storage,
    capabilities: { name: 'objects', trim },
    anchor: (path) => {
      const anchor = storage.anchor(path)
      return { ...anchor, swap: (token, bytes, _, options) => anchor.swap(token, bytes, 0, options) }
    },
  }
}

/** How probable it is that an owner is held up at such a call: before it is sent, and while it is answered. */
const DANGEROUS: Partial<Record<Call['method'], readonly [number, number]>> = {
  append: [0.08, 0.05],
  claim: [0.1, 0.05],
  read: [0.01, 0.02],
  swap: [0.03, 0.03],
  put: [0.03, 0.03],
  delete: [0.08, 0.03],
  remove: [0.08, 0.03],
  list: [0.03, 0.03],
}

/** And that it ends there. */
const CRASHES: Partial<Record<Call['method'], number>> = { swap: 0.02, put: 0.01, delete: 0.02, remove: 0.02 }

/** The world's storage over the actor's line, which is held up at what it calls. */
function lineOf(me: Actor, { sim, storage, truth, absent }: World, often = 1): Storage {
  const hold = (): void => {
    const ms = sim.random.next() * GRACE * (sim.random.chance(0.5) ? 0.5 : 5)
    sim.stall(me, ms, sim.random.chance(0.5) ? 'stops' : 'runs')
  }
  return intercept(me.storage(storage), async <T>({ target, method, path, n = 0, signal }: Call, run: Run<T>) => {
    // Entries are read many ahead; of those that can't be there yet the answer may as well come at once.
    if (target === 'log' && method === 'read' && n > truth.headOf(path) + 1) return absent() as T
    if (sim.random.chance((CRASHES[method] ?? 0) * often)) {
      sim.crash(me)
      return new Promise<never>(() => undefined)
    }
    const [before, during] = DANGEROUS[method] ?? [0, 0]
    if (sim.random.chance(before * often)) {
      hold()
      await sleep(me.clock, 0)
    }
    const answer = run(signal)
    if (sim.random.chance(during * often)) hold()
    return answer
  })
}

export async function openWith(
  storage: Storage,
  name: string,
  mode: 'exclusive' | 'follower',
  clock: Clock,
  { rules, retain }: Pick<World, 'rules' | 'retain'>,
): Promise<Store<string>> {
  const options = resolveOptions({
    storage,
    name,
    mode,
    clock,
    graceMs: GRACE,
    timeoutMs: GRACE,
    retain: { versions: retain },
    checkpoint: { entries: 3, bytes: 1_000 },
    segmentBytes: 500,
    blockBytes: 100,
    bloomBits: 0,
    deflateLevel: 0,
  })
  const engine = await Engine.open({ ...options, rules })
  return new Store<string>(engine, engine.spec('', options.table))
}

export async function read(from: Pick<Store<string>, 'entries'>): Promise<Contents> {
  return new Map(await collect(from.entries()))
}

const PASSING = new Set(['FENCED', 'UNKNOWN_OUTCOME', 'CONFLICT', 'STORAGE_UNAVAILABLE', 'VERSION_EXPIRED', 'CLOSED', 'ABORTED'])

/** The code of an error that may happen; any other one is thrown on. */
function passing(error: unknown, ...more: readonly string[]): string {
  const code = codeOf(error)
  if (!PASSING.has(code) && !more.includes(code)) throw error
  return code
}

const OPS = 3

class Owner {
  readonly #me: Actor
  readonly #world: World
  readonly #line: Storage
  #store: Store<string> | undefined
  /** Maintenance that goes on beside other calls. */
  #beside: Promise<unknown> = Promise.resolve()

  constructor(me: Actor, world: World) {
    this.#me = me
    this.#world = world
    this.#line = lineOf(me, world)
  }

  async run(): Promise<void> {
    const { random } = this.#world.sim
    for (let i = 1; i <= OPS; i++) {
      await sleep(this.#me.clock, random.next() * (random.chance(0.7) ? 100 : GRACE))
      const op = `${this.#me.name}${i}`
      for (let tries = 3; tries > 0 && (await this.#attempt(op)); tries--) {
        // Whoever took the store has some time for it.
        await sleep(this.#me.clock, random.next() * 2 * GRACE)
      }
    }
    await this.#end()
  }

  /** Whether it surely did not happen, and may be tried again. */
  async #attempt(op: string): Promise<boolean> {
    const { random } = this.#world.sim
    try {
      this.#store ??= await this.#open()
      const { contents, at } = { contents: await read(this.#store), at: this.#store.version }
      this.#world.truth.compare(NAME, at, contents, `${this.#me.name} opened`)
      if (this.#world.truth.versionOf(op)) return false
      await this.#act(op, this.#store)
      if (random.chance(0.5)) await this.#maintain(this.#store)
      return false
    } catch (error) {
      const code = passing(error)
      await this.#end()
      return code !== 'UNKNOWN_OUTCOME' || this.#world.truth.versionOf(op) === undefined
    } finally {
      this.#world.truth.check()
    }
  }

  async #open(): Promise<Store<string>> {
    const { random } = this.#world.sim
    const store = await openWith(this.#line, NAME, 'exclusive', this.#me.clock, this.#world)
    if (random.chance(0.3)) await this.#maintain(store)
    return store
  }

  async #end(): Promise<void> {
    const store = this.#store
    this.#store = undefined
    await this.#beside
    await store?.close()
  }

  async #maintain(store: Store<string>): Promise<void> {
    if (this.#world.sim.random.chance(0.5)) await store.maintain().catch(passing)
    else this.#also(store.maintain())
  }

  #also(running: Promise<unknown>): void {
    this.#beside = Promise.all([this.#beside, running.catch(passing)])
  }

  async #act(op: string, store: Store<string>): Promise<void> {
    const { random } = this.#world.sim
    const chance = random.next()
    if (chance < 0.3) await this.#commit(op, store)
    else if (chance < 0.45) await this.#transaction(op, store)
    else if (chance < 0.7) await this.#tidy(op, store)
    else if (chance < 0.85) await this.#restore(op, store)
    else if (chance < 0.91) await this.#tag(op, store)
    else if (chance < 0.95) await this.#fork(op, store)
    else await this.#lookBack(store)
  }

  async #commit(op: string, store: Store<string>): Promise<void> {
    const { sim, truth } = this.#world
    // Of those that were tried before.
    if (truth.versionOf(op)) return
    store.put('count', Number((await store.get('count')) ?? 0) + 1)
    store.put('op', op)
    store.put(op, op)
    if (sim.random.chance(0.1)) {
      store.put('large', op.padEnd(1_100, '.'))
      truth.large.set(op, await read(store))
    }
    await this.#decide(op, store.commit({ label: op }))
  }

  async #transaction(op: string, store: Store<string>): Promise<void> {
    const body = store.transaction(async (tx) => {
      tx.put('count', Number((await tx.get('count')) ?? 0) + 1)
      tx.put('op', op)
      tx.put(op, op)
    })
    await this.#decide(op, body)
  }

  /** As much as it takes for everything before it to be collected; some wait the grace period out, some don't care. */
  async #tidy(op: string, store: Store<string>): Promise<void> {
    const { random } = this.#world.sim
    for (const part of ['', 'i', 'ii']) {
      await this.#commit(op + part, store)
      await store.maintain().catch(passing)
    }
    if (random.chance(0.6)) await sleep(this.#me.clock, GRACE)
    await store.maintain().catch(passing)
  }

  /** Holds what becomes of a commit against what truly became of it. */
  async #decide(op: string, committing: Promise<{ version: number } | void>): Promise<void> {
    const { truth, acknowledged, refused } = this.#world
    refused.delete(op)
    try {
      const result = await committing
      const version = result ? result.version : truth.versionOf(op)
      if (version === undefined || truth.versionOf(op) !== version) {
        throw new Error(`${op} was acknowledged as version ${version}, which is not in the history`)
      }
      const other = acknowledged.get(version)
      if (other) throw new Error(`version ${version} was acknowledged for ${other} and for ${op}`)
      acknowledged.set(version, op)
    } catch (error) {
      if (isTidemarkError(error) && error.code !== 'UNKNOWN_OUTCOME') {
        if (truth.versionOf(op)) throw new Error(`${op} failed as ${error.code}, but was applied`)
        refused.add(op)
      }
      throw error
    }
  }

  /** A version that is kept, or was a moment ago. */
  #someVersion(store: Store<string>): number {
    return Math.max(1, store.version - this.#world.sim.random.below(4))
  }

  async #restore(op: string, store: Store<string>): Promise<void> {
    const { random } = this.#world.sim
    const tag = [...this.#world.tags.keys()].at(-1)
    const when = tag !== undefined && random.chance(0.5) ? tag : this.#someVersion(store)
    if (random.chance(0.5)) {
      await this.#commit(`${op}i`, store)
      // A fold that is under way, or ready, when everything it began at is replaced.
      this.#also(store.checkpoint())
    }
    try {
      await this.#decide(op, store.restore(when, { label: op }))
    } catch (error) {
      const code = passing(error, 'NOT_FOUND')
      if (code === 'FENCED' || code === 'UNKNOWN_OUTCOME') throw error
    }
  }

  async #tag(op: string, store: Store<string>): Promise<void> {
    const { sim, tags, untagged } = this.#world
    const old = [...tags.keys()].find((name) => !untagged.has(name))
    try {
      if (old !== undefined && sim.random.chance(0.3)) {
        untagged.add(old)
        await store.untag(old)
      } else {
        const name = `tag-${op}`
        const { version } = await store.tag(name, { at: this.#someVersion(store) })
        tags.set(name, version)
      }
    } catch (error) {
      passing(error, 'NOT_FOUND', 'INVALID_ARGUMENT')
    }
  }

  async #fork(op: string, store: Store<string>): Promise<void> {
    const name = `fork-${op}`
    // The storage is known to be good; a fork would probe it once more.
    await probe(memory(), 'sim/0', this.#me.clock, this.#line)
    const at = this.#someVersion(store)
    try {
      const past = await store.at(at)
      const { version } = past
      await past.close()
      await store.fork(name, { at: version })
      this.#world.forks.set(name, version)
    } catch (error) {
      passing(error, 'NOT_FOUND', 'INVALID_ARGUMENT')
    }
  }

  async #lookBack(store: Store<string>): Promise<void> {
    try {
      const past = await store.at(this.#someVersion(store))
      this.#world.truth.compare(NAME, past.version, await read(past), `${this.#me.name} looked back`)
      await past.close()
    } catch (error) {
      passing(error, 'NOT_FOUND')
    }
  }
}

/** Looks at what appears, and reads it some time later. */
async function follower(me: Actor, world: World): Promise<void> {
  const { sim, truth } = world
  const line = lineOf(me, world, 0.5)
  let store: Store<string> | undefined
  for (let i = 0; i < 4; i++) {
    await sleep(me.clock, sim.random.next() * GRACE)
    const since = sim.clock.monotonic()
    try {
      if (store) await store.refresh()
      else store = await openWith(line, NAME, 'follower', me.clock, world)
    } catch (error) {
      passing(error)
      if (store && sim.random.chance(0.5)) await store.reopen().catch(passing)
      continue
    }
    const view = await store.snapshot()
    if (sim.random.chance(0.6)) await sleep(me.clock, sim.random.next() * GRACE)
    try {
      truth.compare(NAME, view.version, await read(view), `${me.name} read`)
    } catch (error) {
      passing(error)
      const age = sim.clock.monotonic() - since
      if (world.hasTime && age < GRACE / 2) throw new Error(`a view ${age} ms old is gone`, { cause: error })
    }
    await view.close()
  }
  await store?.close()
}

/** One run; throws, naming the seed, when an invariant does not hold. */
export async function collectors(seed: number, rules: Rules = ALL_RULES): Promise<number> {
  try {
    return await life(seed, rules)
  } catch (error) {
    throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
  }
}

export const stats = { sim: 0, judge: 0, by: {} as Record<string, number> }
async function life(seed: number, rules: Rules): Promise<number> {
  let world!: World
  const late = { ms: 0 }
  const options = { seed, slow: { chance: 0.01, ms: 3 * GRACE }, delayMs: [1, 10] } as const
  const t0 = performance.now()
  const { steps, trace } = await simulate(options, async (sim) => {
    const clock = { ...systemClock, now: () => sim.clock.now() + late.ms + 1_800_000 }
    const kind = sim.random.below(8)
    const hasTime = kind > 1
    const truth = new Truth()
    const storage = truth.watch(objects(hasTime ? clock : undefined, kind === 2 ? 'create' : 'writer'))
    world = {
      sim,
      rules,
      truth,
      storage,
      hasTime,
      absent: () => (hasTime ? { time: clock.now() } : {}),
      retain: 1 + sim.random.below(2),
      acknowledged: new Map(),
      refused: new Set(),
      tags: new Map(),
      untagged: new Set(),
      forks: new Map(),
    }
    await probe(memory(), 'sim/0', systemClock, storage)
    await (await openWith(storage, NAME, 'exclusive', sim.clock, world)).close()
    const actors = [
      ...['a', 'b', 'c'].slice(0, 2 + sim.random.below(2)).map((name, i) =>
        sim.actor(name, (me) => new Owner(me, world).run(), { skewMs: (i - 1) * 3_600_000 }),
      ),
      sim.actor('f', (me) => follower(me, world), { skewMs: 3_600_000 }),
    ]
    await Promise.all(actors.map(({ done }) => done))
  })
  const t1 = performance.now()
  await judge(world, false)
  stats.sim += t1 - t0
  stats.judge += performance.now() - t1
  for (const l of trace) { const w = l.split(' '); const m = `${w[2]} ${w[3]?.split('/')[0]}`; stats.by[m] = (stats.by[m] ?? 0) + 1 }
  if (seed % 4 === 0) {
    const owner = await openWith(world.storage, NAME, 'exclusive', systemClock, world)
    for (let i = 0; i < 3; i++) {
      await owner.maintain()
      late.ms += 2 * GRACE
    }
    await owner.close()
    await judge(world, true)
  }
  return steps
}

/** Nobody is there any more: what is left is held against what happened. */
async function judge(world: World, thorough: boolean): Promise<void> {
  const { storage, truth, acknowledged, refused, tags, untagged, forks, retain } = world
  truth.check()
  const reader = { rules: ALL_RULES, retain }
  const store = await openWith(storage, NAME, 'follower', systemClock, reader)
  if (store.version !== truth.newest(NAME)) {
    throw new Error(`the newest version is ${store.version}, it should be ${truth.newest(NAME)}`)
  }
  truth.compare(NAME, store.version, await read(store), 'in the end')
  for (const { version } of await collect(store.versions())) {
    const past = await store.at(version)
    truth.compare(NAME, version, await read(past), 'kept')
    await past.close()
  }
  for (const [tag, version] of tags) {
    if (untagged.has(tag)) continue
    const past = await store.at(tag)
    truth.compare(NAME, version, await read(past), `tag ${tag}`)
    await past.close()
  }
  await store.close()
  for (const [version, op] of acknowledged) {
    if (truth.versionOf(op) !== version) throw new Error(`${op} was acknowledged as version ${version}`)
  }
  for (const op of refused) if (truth.versionOf(op)) throw new Error(`${op} was refused, but applied`)
  for (const [name, version] of forks) {
    const fork = await openWith(storage, name, 'follower', systemClock, reader)
    truth.compare(NAME, version, await read(fork), `fork ${name}`)
    await fork.close()
  }
  if (!thorough) return
  const { damages } = await verify({ storage, name: NAME })
  if (damages.length > 0) throw new Error(`damages: ${damages.map(({ message }) => message).join('; ')}`)
}
