/**
 * A random life of a store that is split and merged, beside an oracle that keeps every version of every shard: what is opened by number,
 * date and tag, listed, compared, restored and followed has to be what the oracle says.
 */
import fc from 'fast-check'
import { expect } from 'vitest'
import { systemClock, type Clock, type Snapshot, type Storage } from 'tidemark'
import { diff } from 'tidemark/tools'
import { rescale } from '../../src/group/rescale.js'
import { partitionOf } from '../../src/store/reads.js'
import { contents, open, type Numbers } from './sharded.js'
import { act, type Act, type Moment } from './shards-past-acts.js'
import {
  copyOf,
  flat,
  lineOf,
  sorted,
  tagKey,
  within,
  type Content,
  type Shard,
  type Version,
} from './shards-past-oracle.js'
import { collect } from './storages.js'

const PARTITIONS = 5
const KEYS = Array.from({ length: 15 }, (_, i) => `k${i}`)
const TINY = { segmentBytes: 300, blockBytes: 60, cacheBytes: 400, checkpoint: { entries: 5, bytes: 500 } }
const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

class Life {
  #time = 1_000_000
  #count = 0
  readonly #clock: Clock = { ...systemClock, now: () => this.#time, monotonic: () => this.#time }
  #living: readonly Shard[] = []
  readonly #all: Shard[] = []
  /** By the shard that has the version. */
  readonly #tags = new Map<string, { readonly shard: Shard; readonly version: Version }>()
  #follower!: Numbers
  readonly #snapshots: { readonly snapshot: Snapshot<string, number>; readonly expected: Map<string, number> }[] = []

  constructor(readonly storage: Storage) {}

  #open(options: Parameters<typeof open>[1] = {}): Promise<Numbers> {
    this.#time += 1000
    return open(this.storage, { clock: this.#clock, partitions: PARTITIONS, ...TINY, ...options })
  }

  async run(acts: readonly Act[]): Promise<void> {
    const store = await this.#open()
    const { version } = await store.commit({ offsets: { src: 0 }, label: 'begun' })
    await store.close()
    const nothing = new Map(Array.from({ length: PARTITIONS }, (_, i) => [i, { values: new Map(), position: 0 }]))
    const begun = { version, time: this.#time, label: 'begun', contents: nothing }
    this.#living = [{ first: 0, last: PARTITIONS - 1, parents: [], versions: [begun] }]
    this.#all.push(...this.#living)
    this.#follower = await this.#open({ mode: 'follower' })
    for (const each of acts) await this.#act(each)
    await this.#follow()
    for (const { snapshot, expected } of this.#snapshots) expect(await shown(snapshot)).toEqual(sorted(expected))
    await this.#follower.close()
  }

  async #act(a: Act): Promise<void> {
    if (a.do === 'rescale') return this.#rescale(a.cuts)
    if (a.do === 'follow') return this.#follow(a.when)
    const shard = this.#living[a.shard % this.#living.length]!
    const store = await this.#open({ shard: shard.first })
    try {
      await this.#actOn(a, shard, store)
    } finally {
      await store.close()
    }
    this.#time += 1000
  }

  async #actOn(a: Act, shard: Shard, store: Numbers): Promise<void> {
    expect(await shown(store)).toEqual(sorted(flat(shard.versions.at(-1)!)))
    switch (a.do) {
      case 'commit':
        return this.#commit(
          shard,
          store,
          a.puts.map((i) => KEYS[i]!),
          a.cut,
        )
      case 'large':
        return this.#commit(shard, store, KEYS, false)
      case 'checkpoint':
        return store.checkpoint()
      case 'at':
        return this.#at(shard, store, a.when)
      case 'restore':
        return this.#restore(shard, store, a.when, a.some)
      case 'undo':
        return this.#undo(shard, store)
      case 'tag':
        return this.#tag(shard, store, a.when, a.name)
      case 'untag':
        return this.#untag(shard, store, a.name)
      case 'versions':
        return this.#list(shard, store, a.reverse)
      default:
        return this.#diff(shard, store, a.a, a.b)
    }
  }

  async #commit(shard: Shard, store: Numbers, keys: readonly string[], isCut: boolean): Promise<void> {
    const label = `c${++this.#count}`
    const now = copyOf(shard.versions.at(-1)!)
    for (const key of keys) {
      const partition = partitionOf(key, PARTITIONS)
      if (partition < shard.first || partition > shard.last) continue
      store.put(key, this.#count)
      now.get(partition)!.values.set(key, this.#count)
    }
    if (isCut) {
      store.deleteRange({ gte: 'k1', lt: 'k2' })
      for (const { values } of now.values())
        for (const key of values.keys()) if (key.startsWith('k1')) values.delete(key)
    }
    for (const content of now.values()) content.position = this.#count
    const { version } = await store.commit({ label, offsets: { src: this.#count } })
    shard.versions.push({ version, time: this.#time, label, contents: now })
  }

  async #rescale(cuts: readonly number[]): Promise<void> {
    this.#time += 1000
    await rescale({ storage: this.storage, name: 's' }, { cuts }, { clock: this.#clock })
    const follower = await this.#open({ mode: 'follower' })
    const before = this.#living
    this.#living = follower.shards.map(({ first, last, version }) => {
      const same = before.find((shard) => shard.first === first && shard.last === last)
      if (same?.versions.at(-1)?.version === version) return same
      const parents = before.filter((shard) => shard.first <= last && shard.last >= first)
      const mine = parents.flatMap(({ versions }) => [...versions.at(-1)!.contents])
      const contents = new Map(mine.filter(([partition]) => first <= partition && partition <= last))
      const shard = {
        first,
        last,
        parents,
        versions: [{ version, time: this.#time - 1000, label: undefined, contents }],
      }
      this.#all.push(shard)
      return shard
    })
    expect(await shown(follower)).toEqual(sorted(this.#everything()))
    await follower.close()
    this.#time += 1000
  }

  #everything(): Map<string, number> {
    return new Map(this.#living.flatMap(({ versions }) => [...flat(versions.at(-1)!)]))
  }

  /** A moment as a program gives it. */
  #when({ by, which, off }: Moment): number | string | Date {
    if (by === 'tag') return `t${1 + (which % 3)}`
    const all = this.#all.flatMap(({ versions }) => versions)
    const { version, time } = all[which % all.length]!
    return by === 'date' ? new Date(time + off * 500) : version + off
  }

  /** What a shard shows of a moment; the code of the error when it shows nothing. */
  #then(shard: Shard, at: number | string | Date): ReadonlyMap<number, Content> | string {
    if (typeof at === 'string') return this.#tagged(shard, at)
    if (typeof at !== 'number') {
      const time = at.getTime()
      return within(
        shard,
        this.#search(shard, (versions) => versions.findLast((each) => each.time <= time)),
      )
    }
    if (at > shard.versions.at(-1)!.version + 60) return 'NOT_FOUND'
    for (let one = shard; ;) {
      const found = one.versions.findLast(({ version }) => version <= at)
      if (found) return within(shard, found.contents)
      const parents = one.parents.filter(({ first, last }) => first <= shard.last && last >= shard.first)
      if (parents.length === 0) return 'NOT_FOUND'
      if (parents.length > 1) return 'INVALID_ARGUMENT'
      one = parents[0]!
    }
  }

  #search(
    shard: Shard,
    find: (versions: readonly Version[], shard: Shard) => Version | undefined,
    range = shard,
  ): Map<number, Content> | undefined {
    const found = find(shard.versions, shard)
    if (found) return new Map([...found.contents].filter(([i]) => range.first <= i && i <= range.last))
    const parents = shard.parents.filter(({ first, last }) => first <= range.last && last >= range.first)
    if (parents.length === 0) return undefined
    const all = new Map<number, Content>()
    for (const parent of parents) {
      const first = Math.max(parent.first, range.first)
      const part = this.#search(parent, find, { ...range, first, last: Math.min(parent.last, range.last) })
      if (part === undefined) return undefined
      for (const [partition, content] of part) all.set(partition, content)
    }
    return all
  }

  #tagged(shard: Shard, name: string): ReadonlyMap<number, Content> | string {
    const find = (_: readonly Version[], of: Shard): Version | undefined =>
      this.#tags.get(tagKey(of, this.#all, name))?.version
    return within(shard, this.#search(shard, find))
  }

  async #at(shard: Shard, store: Numbers, moment: Moment): Promise<void> {
    const at = this.#when(moment)
    if (typeof at === 'number' && at > store.version) return
    const expected = this.#then(shard, at)
    if (typeof expected === 'string') return expect(store.at(at)).rejects.toThrow(code(expected))
    const past = await store.at(at)
    expect(await shown(past)).toEqual(sorted(flat({ contents: expected })))
    expect(past.offsets).toEqual({ src: Math.min(...[...expected.values()].map(({ position }) => position)) })
    await past.close()
  }

  async #restore(shard: Shard, store: Numbers, moment: Moment, isSome: boolean): Promise<void> {
    const at = this.#when(moment)
    if (typeof at === 'number' && at > store.version) return
    const expected = this.#then(shard, at)
    const partitions = isSome ? [shard.last] : undefined
    const position = ++this.#count
    const options = isSome ? { partitions, offsets: { src: position } } : {}
    if (typeof expected === 'string') return expect(store.restore(at, options)).rejects.toThrow(code(expected))
    const { version } = await store.restore(at, { label: `r${position}`, ...options })
    const now = copyOf(shard.versions.at(-1)!)
    for (const [partition, content] of expected) {
      if (!partitions || partitions.includes(partition))
        now.set(partition, { ...content, values: new Map(content.values) })
    }
    if (isSome) for (const content of now.values()) content.position = position
    shard.versions.push({ version, time: this.#time, label: `r${position}`, contents: now })
    expect(await shown(store)).toEqual(sorted(flat(shard.versions.at(-1)!)))
    expect(store.offsets).toEqual({ src: Math.min(...[...now.values()].map((content) => content.position)) })
  }

  async #undo(shard: Shard, store: Numbers): Promise<void> {
    if (shard.versions.length < 2) return
    const { version: before, contents: expected } = shard.versions.at(-2)!
    const { version } = await store.restore(before, { label: 'undo' })
    shard.versions.push({ version, time: this.#time, label: 'undo', contents: expected })
    expect(await shown(store)).toEqual(sorted(flat({ contents: expected })))
  }

  /** A tag is put into the log that has the version, or into all of them. */
  async #tag(shard: Shard, store: Numbers, moment: Moment, name: string): Promise<void> {
    const at = moment.by === 'number' ? this.#when(moment) : store.version
    if (typeof at !== 'number' || at > store.version) return
    const kin = lineOf(shard)
    if (kin.some((one) => this.#tags.has(tagKey(one, this.#all, name)))) {
      const expected = this.#then(shard, at)
      const wrong = typeof expected === 'string' ? expected : 'INVALID_ARGUMENT'
      return expect(store.tag(name, { at })).rejects.toThrow(code(wrong))
    }
    const expected = this.#then(shard, at)
    if (typeof expected === 'string') return expect(store.tag(name, { at })).rejects.toThrow(code(expected))
    const owner = kin.find(({ versions }) => versions[0]!.version <= at)!
    const version = owner.versions.findLast((each) => each.version <= at)!
    try {
      expect(await store.tag(name, { at })).toMatchObject({ name, version: version.version })
    } catch (error) {
      // A large commit before a seal that nobody folded.
      expect(error).toEqual(code('INVALID_ARGUMENT'))
      return
    }
    this.#tags.set(tagKey(owner, this.#all, name), { shard: owner, version })
  }

  async #untag(shard: Shard, store: Numbers, name: string): Promise<void> {
    const keys = lineOf(shard).map((one) => tagKey(one, this.#all, name))
    if (!keys.some((key) => this.#tags.has(key))) return expect(store.untag(name)).rejects.toThrow(code('NOT_FOUND'))
    await store.untag(name)
    for (const key of keys) this.#tags.delete(key)
  }

  async #list(shard: Shard, store: Numbers, reverse: boolean): Promise<void> {
    const expected = lineOf(shard).flatMap(({ first, last, versions }) =>
      versions.map((each) => ({ first, last, ...each })),
    )
    expected.sort((a, b) => a.time - b.time || a.version - b.version || a.first - b.first)
    const infos = await collect(store.versions({ reverse }))
    const wanted = reverse ? expected.toReversed() : expected
    const isWhole = this.#all.length === 1
    expect(infos.map(({ version, label, shard: range }) => [version, label, range])).toEqual(
      wanted.map(({ version, label, first, last }) => [version, label, isWhole ? undefined : { first, last }]),
    )
  }

  async #diff(shard: Shard, store: Numbers, a: Moment, b: Moment): Promise<void> {
    const [from, to] = [this.#when(a), this.#when(b)]
    if ([from, to].some((at) => typeof at === 'number' && at > store.version)) return
    const [was, is] = [this.#then(shard, from), this.#then(shard, to)]
    if (typeof was === 'string' || typeof is === 'string')
      return expect(collect(diff(store, from, to))).rejects.toThrow()
    const [before, after] = [flat({ contents: was }), flat({ contents: is })]
    const keys = [...new Set([...before.keys(), ...after.keys()])].sort()
    const changes = keys.filter((key) => before.get(key) !== after.get(key))
    expect((await collect(diff(store, from, to))).map(({ key, before: x, after: y }) => [key, x, y])).toEqual(
      changes.map((key) => [key, before.get(key), after.get(key)]),
    )
  }

  async #follow(moment?: Moment): Promise<void> {
    const follower = this.#follower
    await follower.refresh()
    const all = this.#everything()
    expect(await shown(follower)).toEqual(sorted(all))
    expect(follower.shards).toEqual(
      this.#living.map(({ first, last, versions }) => ({ first, last, version: versions.at(-1)!.version })),
    )
    if (this.#snapshots.length < 3) this.#snapshots.push({ snapshot: await follower.snapshot(), expected: all })
    if (moment?.by !== 'date') return
    const at = this.#when(moment)
    const parts = this.#living.map((shard) => this.#then(shard, at))
    const failed = parts.find((part) => typeof part === 'string')
    if (failed) return expect(follower.at(at)).rejects.toThrow(code(failed))
    const expected = parts.flatMap((part) => [...flat({ contents: part as ReadonlyMap<number, Content> })])
    expect(await shown(await follower.at(at))).toEqual(sorted(new Map(expected)))
  }
}

const shown = (store: Parameters<typeof contents>[0]): Promise<[string, number][]> => contents(store)

/** Random lives, each on a storage of its own. A failure names the seed. */
export function pastLives(make: () => Storage, lives: number, mostActs: number, seed?: number): Promise<void> {
  const acts = fc.array(act, { minLength: 10, maxLength: mostActs })
  const options = { numRuns: lives, ...(seed === undefined ? {} : { seed }) }
  return fc.assert(
    fc.asyncProperty(acts, async (each) => new Life(make()).run(each)),
    options,
  )
}
