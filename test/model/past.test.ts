import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openStore, systemClock, type Key, type Snapshot, type Storage, type Store, type When } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { destroyStore, verify } from 'tidemark/tools'
import { partitionOf } from '../../src/store/reads.js'
import { extent } from '../support/extent.js'
import {
  act,
  apply,
  everywhere,
  expectContents,
  expectThen,
  listed,
  mustKeep,
  splicePositions,
  spliceModels,
  TABLES,
  type Act,
  type Moment,
  type Positions,
  type Retain,
  type Version,
} from '../support/past-model.js'
import { Model, tails } from '../support/store-model.js'
import { collect, temporaryFolder } from '../support/storages.js'

/** Options under which everything small happens often: many folds, segments, blocks, merges, evictions. */
const TINY = { segmentBytes: 300, blockBytes: 60, cacheBytes: 400, bloomBits: 4 }
const GRACE = 100
const LARGE = 700
const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

interface Tag extends Version {
  readonly expires: number
}

/** A store beside its model. */
interface Double {
  readonly name: string
  readonly parent: Double | undefined
  store: Store
  /** Where the next commit begins. */
  readonly model: () => Model
  /** All versions that there ever were. */
  readonly versions: Version[]
  readonly tags: Map<string, Tag>
  undo: number | undefined
  held: { snapshot: Snapshot; version: Version; usedAt: number }[]
  /** It holds something that verify() cannot judge yet. */
  spliced: boolean
}

interface Plan {
  readonly entries: number
  readonly retain: Retain
  readonly acts: readonly Act[]
}

/** One random life of a store and its forks. */
class Life {
  readonly #storage: Storage
  readonly #partitions: number
  readonly #plan: Plan
  readonly #doubles: Double[] = []
  #now = 1_000
  #position = 0
  #forks = 0

  constructor(storage: Storage, partitions: number, plan: Plan) {
    this.#storage = storage
    this.#partitions = partitions
    this.#plan = plan
  }

  async run(): Promise<void> {
    await this.#add('main', undefined, [], false)
    for (const a of this.#plan.acts) await this.#act(this.#doubles[a.on % this.#doubles.length]!, a)
    for (const double of this.#doubles) {
      await this.#check(double)
      await this.#settle(double)
      await this.#check(double)
      await double.store.close()
    }
    for (const { name, spliced } of this.#doubles) {
      if (!spliced) expect((await verify({ storage: this.#storage, name })).damages).toEqual([])
    }
  }

  #open(name: string): Promise<Store> {
    const clock = { ...systemClock, now: () => this.#now, monotonic: () => this.#now }
    const checkpoint = { entries: this.#plan.entries, bytes: 500 }
    const place = { storage: this.#storage, name, partitions: this.#partitions, retain: this.#plan.retain }
    return openStore({ ...place, clock, ...TINY, checkpoint, graceMs: GRACE })
  }

  async #add(name: string, parent: Double | undefined, versions: Version[], spliced: boolean): Promise<void> {
    const nothing = new Model(this.#partitions, (key: Key) => partitionOf(key, this.#partitions))
    const model = (): Model => (versions.at(-1)?.model ?? nothing).clone()
    const rest = { tags: new Map<string, Tag>(), undo: undefined, held: [], spliced }
    this.#doubles.push({ name, parent, store: await this.#open(name), model, versions, ...rest })
  }

  /** A version that has to be there, and how it is asked for; `undefined` when there is none of that kind. */
  #find(double: Double, { by, which }: Moment): [When, Version] | undefined {
    const { versions } = double
    if (by === 'tag') {
      const tags = [...double.tags].filter(([, tag]) => tag.expires > this.#now)
      return tags[which % tags.length]
    }
    const kept = versions.slice(-mustKeep(versions, this.#plan.retain, this.#now))
    const chosen = kept[which % kept.length]
    if (chosen === undefined || by === 'number') return chosen && [chosen.version, chosen]
    return [new Date(chosen.time), versions.findLast(({ time }) => time === chosen.time)!]
  }

  async #check(double: Double): Promise<void> {
    const { store, versions } = double
    const infos = await collect(store.versions())
    const kept = versions.slice(versions.length - infos.length)
    expect(infos.length).toBeGreaterThanOrEqual(mustKeep(versions, this.#plan.retain, this.#now))
    expect(infos.map(listed)).toEqual(kept.map(listed))
    const tags = [...double.tags].filter(([, { expires }]) => expires > this.#now)
    for (const { version, tags: names } of infos) {
      expect([...names].sort()).toEqual(tags.flatMap(([name, tag]) => (tag.version === version ? [name] : [])).sort())
    }
    for (const version of kept) await expectThen(store, version.version, version)
    const found = (await store.tags()).map(({ name, version, time }) => ({ name, version, time }))
    const wanted = tags.map(([name, { version, time }]) => ({ name, version, time }))
    expect(found.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual(wanted.sort((a, b) => (a.name < b.name ? -1 : 1)))
    for (const [name, tag] of tags) await expectThen(store, name, tag)
    for (const [name, tag] of double.tags) {
      if (tag.expires <= this.#now) await expect(store.at(name)).rejects.toThrow(code('NOT_FOUND'))
    }
    for (const version of versions.slice(0, versions.length - infos.length).slice(-3)) {
      if (tags.some(([, tag]) => tag.version === version.version)) await expectThen(store, version.version, version)
      else await expect(store.at(version.version)).rejects.toThrow(code('VERSION_EXPIRED'))
    }
    await expectContents(store, double.model(), this.#now)
    expect(store.offsets).toEqual(versions.at(-1)?.offsets ?? {})
    for (const held of double.held) {
      // Whoever does not look for so long may find that it has expired.
      if (this.#now - held.usedAt >= GRACE) continue
      await expectContents(held.snapshot, held.version.model, held.version.time)
      held.usedAt = this.#now
    }
  }

  /** After enough collections with the grace period in between nothing more is to be done. */
  async #settle({ store, held }: Double): Promise<void> {
    for (const { snapshot } of held.splice(0)) await snapshot.close()
    for (let round = 0; round < 6; round++) {
      await store.maintain()
      this.#now += GRACE
    }
    const { head } = { head: store.version }
    const last = await store.maintain()
    expect(last.condemned).toEqual({ entries: 0, segments: 0 })
    expect(last.deleted).toEqual({ entries: 0, segments: 0, pins: 0, bytes: 0 })
    expect([last.waiting, last.folds, last.compactions, store.version]).toEqual([0, 0, 0, head])
  }

  #made(double: Double, version: number, kind: Version['kind'], model: Model, offsets: Positions): void {
    expect(version).toBeGreaterThan(double.versions.at(-1)?.version ?? 0)
    double.versions.push({ version, time: this.#now, kind, model, offsets })
  }

  async #commit(double: Double, a: Extract<Act, { do: 'commit' }>): Promise<void> {
    const { store } = double
    const model = double.model()
    for (const w of a.writes) apply(store, model, w, this.#partitions, this.#now)
    if (a.large) {
      store.put('large', 'x'.repeat(LARGE))
      model.at(everywhere(''), 'large').set('large', { value: 'x'.repeat(LARGE), until: Infinity })
    }
    const before = double.versions.at(-1)?.offsets ?? {}
    const n = ++this.#position
    const offsets: Positions | undefined =
      a.offsets === 'one' ? { one: n } : a.offsets === 'p' ? { p: { [n % 3]: n } } : undefined
    const after: Positions = { ...before, ...offsets, ...(offsets?.p && { p: { ...before.p, ...offsets.p } }) }
    const { version } = await store.commit(offsets ? { offsets: offsets as Record<string, number> } : {})
    this.#made(double, version, 'commit', model, after)
  }

  async #restore(double: Double, a: Extract<Act, { do: 'restore' }>): Promise<void> {
    const found = this.#find(double, a.when)
    if (!found) return
    const [when, then] = found
    const { store, versions } = double
    const chosen = a.partitions?.filter((p) => p < this.#partitions)
    const isPartial = chosen !== undefined && chosen.length > 0 && chosen.length < this.#partitions
    const newest = versions.at(-1)!
    let offsets: Positions | undefined = isPartial
      ? splicePositions(newest.offsets, then.offsets, chosen)
      : then.offsets
    const model = isPartial ? spliceModels(newest.model, then.model, chosen) : then.model
    const options = { partitions: isPartial ? chosen : undefined }
    const folding = a.beside === 'fold' ? store.checkpoint() : undefined
    if (offsets === undefined) {
      await expect(store.restore(when, options)).rejects.toThrow(code('INVALID_ARGUMENT'))
      const one = ++this.#position
      offsets = { ...splicePositions({ ...newest.offsets, one }, { ...then.offsets, one }, chosen!), one }
      double.undo = (await store.restore(when, { ...options, offsets: { one } })).undo
    } else {
      double.undo = (await store.restore(when, options)).undo
    }
    await folding
    double.spliced ||= isPartial
    expect(double.undo).toBe(newest.version)
    this.#made(double, store.version, 'reset', model.clone(), offsets)
    await expectContents(store, double.model(), this.#now)
  }

  async #tag(double: Double, a: Extract<Act, { do: 'tag' }>): Promise<void> {
    const found = this.#find(double, a.when)
    if (!found) return
    const { name, ttlMs } = a
    const tagging = double.store.tag(name, { at: found[0], ttlMs })
    if ((double.tags.get(name)?.expires ?? 0) > this.#now) {
      await expect(tagging).rejects.toThrow(code('INVALID_ARGUMENT'))
      return
    }
    expect(await tagging).toMatchObject({ name, version: found[1].version, tagged: this.#now })
    double.tags.set(name, { ...found[1], expires: this.#now + (ttlMs ?? Infinity) })
  }

  async #fork(double: Double, a: Extract<Act, { do: 'fork' }>): Promise<void> {
    const found = this.#find(double, a.when)
    if (!found || this.#doubles.length > 2) return
    const name = `fork-${++this.#forks}`
    await double.store.fork(name, { at: found[0] })
    const { model, offsets } = found[1]
    await this.#add(name, double, [{ version: 1, time: this.#now, kind: 'reset', model, offsets }], double.spliced)
  }

  async #destroy(double: Double): Promise<void> {
    // Who has forks of its own holds what they need.
    if (double.parent === undefined || this.#doubles.some(({ parent }) => parent === double)) return
    await double.store.close()
    await destroyStore({ storage: this.#storage, name: double.name })
    this.#doubles.splice(this.#doubles.indexOf(double), 1)
  }

  async #act(double: Double, a: Act): Promise<void> {
    const { store } = double
    switch (a.do) {
      case 'commit':
        return this.#commit(double, a)
      case 'checkpoint':
        return store.checkpoint()
      case 'tick':
        this.#now += a.ms
        return
      case 'maintain': {
        const { keeps } = await store.maintain({ dryRun: a.dryRun })
        const { versions } = double
        const oldest = versions.at(-mustKeep(versions, this.#plan.retain, this.#now))
        expect(keeps).toBeLessThanOrEqual(oldest?.version ?? 0)
        return
      }
      case 'restore':
        return this.#restore(double, a)
      case 'undo': {
        const then = double.versions.find(({ version }) => version === double.undo)
        const kept = double.versions.slice(-mustKeep(double.versions, this.#plan.retain, this.#now))
        if (then === undefined || !kept.includes(then)) return
        const { version } = await store.restore(then.version)
        this.#made(double, version, 'reset', then.model, then.offsets)
        return
      }
      case 'tag':
        return this.#tag(double, a)
      case 'untag': {
        const tag = double.tags.get(a.name)
        if (tag && tag.expires > this.#now) await store.untag(a.name)
        else await expect(store.untag(a.name)).rejects.toThrow(code('NOT_FOUND'))
        double.tags.delete(a.name)
        return
      }
      case 'fork':
        return this.#fork(double, a)
      case 'destroy':
        return this.#destroy(double)
      case 'reopen':
        if (a.inPlace) return store.reopen()
        await store.close()
        double.held = []
        double.store = await this.#open(double.name)
        return
      case 'hold': {
        const found = this.#find(double, a.when)
        if (!found) return
        double.held.push({ snapshot: await store.at(found[0]), version: found[1], usedAt: this.#now })
        return
      }
      case 'check':
        return this.#check(double)
    }
  }
}

const plans = fc.record({
  entries: tails,
  retain: fc.record({ versions: fc.integer({ min: 1, max: 4 }), ageMs: fc.constantFrom(0, 0, 200) }),
  acts: fc.array(act, { maxLength: 70, size: 'max' }),
})

describe('every version that is kept, each tag and each fork', () => {
  test.each<[string, number, () => Storage, number]>([
    ['memory()', 1, () => memory(), extent(25, 5)],
    ['memory()', 3, () => memory(), extent(25, 5)],
    ['nodeFs()', 1, () => nodeFs(temporaryFolder()), 4],
    ['nodeFs()', 3, () => nodeFs(temporaryFolder()), 4],
  ])(
    'opens with exactly its content under random commits, restores, folds, collections and reopenings, on %s in %d partitions',
    async (_, partitions, make, numRuns) => {
      const runs = fc.asyncProperty(plans, (plan) => new Life(make(), partitions, plan).run())
      await fc.assert(runs, { numRuns: Number(process.env['RUNS'] ?? numRuns) })
    },
  )

  test('there is more than one table in these lives', () => expect(TABLES.length).toBe(3))
})
