/** An owner that commits, tidies up, goes back, and comes again when it was fenced. */
import { isTidemarkError, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import type { Actor } from 'tidemark/testing'
import { sleep } from '../../src/clock.js'
import { probe } from '../../src/storage/probe.js'
import type { Store } from '../../src/store/store.js'
import { GRACE, lineOf, NAME, openWith, passing, read, type World } from './collecting-world.js'

const OPS = 2

export class Owner {
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
    const { isDuel } = this.#world
    const ops = isDuel && this.#me.name === 'b' ? 1 : OPS
    for (let i = 1; i <= ops; i++) {
      await sleep(
        this.#me.clock,
        random.next() * (isDuel ? { a: 30, b: 300 }[this.#me.name]! : random.chance(0.8) ? 200 : GRACE),
      )
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
      const view = await this.#store.snapshot()
      this.#world.truth.compare(NAME, view.version, await read(view), `${this.#me.name} opened`)
      await view.close()
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
    const store = await openWith(this.#line, NAME, this.#world.mode, this.#me.clock, this.#world.retain)
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
    const { sim, isDuel } = this.#world
    const chance = isDuel ? { a: 0.5, b: 0 }[this.#me.name]! : sim.random.next()
    if (chance < 0.2) await this.#tidy(op, store)
    else if (chance < 0.65) await (chance < 0.5 ? this.#commit(op, store) : this.#transaction(op, store))
    else if (chance < 0.87) await this.#restore(op, store)
    else if (chance < 0.93) await this.#tag(op, store)
    else if (chance < 0.96) await this.#fork(op, store)
    else await this.#lookBack(store)
  }

  async #commit(op: string, store: Store<string>): Promise<void> {
    const { sim, truth } = this.#world
    // One of the earlier tries has happened.
    if (truth.versionOf(op)) return
    // A blind one goes on top of whatever others have written meanwhile.
    const isBlind = this.#world.mode === 'shared' && sim.random.chance(0.3)
    if (!isBlind) store.put('count', Number((await store.get('count')) ?? 0) + 1)
    store.put('op', op)
    store.put(op, op)
    if (!isBlind && sim.random.chance(0.1)) {
      store.put('large', op.padEnd(1_100, '.'))
      truth.large.set(op, await read(store))
    }
    await this.#decide(
      op,
      store.commit({ label: op }).catch((error: unknown) => {
        if (isTidemarkError(error) && error.code === 'CONFLICT') store.discard()
        throw error
      }),
    )
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
    for (const part of ['', 'i', 'ii', 'iii', 'iv']) {
      await this.#commit(op + part, store)
      if (part > 'i') await store.maintain().catch(passing)
    }
    if (random.chance(0.6)) await sleep(this.#me.clock, GRACE)
    await store.maintain().catch(passing)
  }

  /** Holds what becomes of a commit against what truly became of it. */
  async #decide(op: string, committing: Promise<{ version: number } | void>): Promise<void> {
    const { truth, acknowledged, refused, doubtful } = this.#world
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
      if (!isTidemarkError(error) || error.code === 'UNKNOWN_OUTCOME') doubtful.add(op)
      else if (!doubtful.has(op)) {
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
    // A fold that is under way, or ready, when everything that it began at is replaced.
    for (const part of ['i', 'ii', 'iii'].slice(random.below(3))) await this.#commit(op + part, store)
    if (random.chance(0.2)) this.#also(store.checkpoint())
    try {
      await this.#decide(op, store.restore(when, { label: op }))
      await this.#commit(`${op}iv`, store)
    } catch (error) {
      const code = passing(error, 'NOT_FOUND')
      if (code === 'FENCED' || code === 'UNKNOWN_OUTCOME') throw error
      // If a commit surely failed, its changes are in the buffer again.
      store.discard()
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
