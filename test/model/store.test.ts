import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openStore, systemClock, type Key, type Snapshot, type Store, type Table } from 'tidemark'
import { memory } from 'tidemark/memory'
import { verify } from 'tidemark/tools'
import { extent } from '../support/extent.js'
import { Replay, Unclear } from '../support/replay.js'
import { collect } from '../support/storages.js'
import {
  action,
  Model,
  isWithin,
  show,
  sorted,
  tails,
  type Action,
  type Bounds,
  type TransactionPlan,
  type Where,
} from '../support/store-model.js'

/** Options under which everything small happens often: many folds, segments, blocks, merges, evictions. */
const TINY = { segmentBytes: 300, blockBytes: 60, cacheBytes: 400, bloomBits: 4 }
const TABLES = ['', 't', 'tt']
const WATCHED: readonly [string, Bounds][] = [
  ['', {}],
  ['t', {}],
  ['', { prefix: ['x'] }],
]
const everywhere = (table: string): Where => ({ table, partition: undefined })

/** The common face of a store, a snapshot and a transaction. */
type Host = Pick<Store, 'partition' | 'table'> & Table
type Write = Extract<Action, { do: 'put' | 'delete' | 'deleteRange' | 'clear' }>

/** One random life of a store, beside a model of what it holds. */
class Life {
  readonly #storage = memory()
  readonly #partitions: number
  readonly #entries: number
  readonly #unclear = new Unclear()
  #now = 1_000
  #store!: Store
  #replays: Replay[] = []
  #snapshots: { snapshot: Snapshot; model: Model }[] = []
  #committed: Model
  #current: Model
  /** The changes in the store's buffer: they stay on top of what transactions commit beneath them. */
  #buffered: ((model: Model) => void)[] = []

  constructor(entries: number, partitions: number, route: (key: Key) => number) {
    this.#entries = entries
    this.#partitions = partitions
    this.#committed = new Model(partitions, route)
    this.#current = this.#committed.clone()
  }

  async run(actions: readonly Action[]): Promise<void> {
    await this.#open()
    for (const a of actions) await this.#act(a)
    for (const table of TABLES) await this.#expectList(this.#store, this.#current, this.#now, everywhere(table), {})
    await this.#close()
    // Every entry, fold and segment of this life, and the state with and without each fold.
    const report = await verify({ storage: this.#storage, name: 'model' })
    expect(report.damages).toEqual([])
    expect(report.ok).toBe(true)
  }

  async #open(): Promise<void> {
    const clock = { ...systemClock, now: () => this.#now, monotonic: () => this.#now }
    const checkpoint = { entries: this.#entries, bytes: 500 }
    const place = { storage: this.#storage, name: 'model', partitions: this.#partitions }
    this.#store = await openStore({ ...place, clock, ...TINY, checkpoint })
    this.#replays = WATCHED.map(
      ([table, bounds]) => new Replay(this.#store, table, bounds, this.#committed, this.#unclear),
    )
  }

  async #close(): Promise<void> {
    for (const replay of this.#replays) await replay.expectEqual(this.#committed)
    for (const { snapshot, model } of this.#snapshots) {
      for (const table of TABLES) await this.#expectList(snapshot, model, snapshot.time, everywhere(table), {})
    }
    const [first, second] = this.#snapshots
    await first?.snapshot.close()
    if (first) await expect(first.snapshot.get(1)).rejects.toMatchObject({ code: 'CLOSED' })
    await this.#store.close()
    if (second) await expect(second.snapshot.get(1)).rejects.toMatchObject({ code: 'CLOSED' })
    this.#snapshots = []
  }

  #drop(): void {
    this.#buffered = []
    this.#current = this.#committed.clone()
  }

  #commits(model: Model): void {
    this.#committed = model
    this.#current = model.clone()
    for (const write of this.#buffered) write(this.#current)
  }

  #table(host: Host, { table, partition }: Where): Table {
    const at = partition === undefined ? host : host.partition(partition % this.#partitions)
    return table === '' ? at : at.table(table)
  }

  /** Writes, and returns the same for a model. */
  #write(host: Host, a: Write): (model: Model) => void {
    const table = this.#table(host, a.at)
    switch (a.do) {
      case 'put': {
        table.put(a.key, a.value, { ttlMs: a.ttlMs })
        const lives = { value: a.value, until: this.#now + (a.ttlMs ?? Infinity) }
        const strays = this.#current.home(a.at, a.key) !== this.#current.home(everywhere(a.at.table), a.key)
        if (a.ttlMs !== undefined || strays) this.#unclear.add(a.at.table, a.key)
        return (model) => model.at(a.at, a.key).set(a.key, lives)
      }
      case 'delete':
        table.delete(a.key)
        return (model) => model.at(a.at, a.key).delete(a.key)
      case 'deleteRange':
        if (Object.values(a.bounds).every((b) => b === undefined)) return () => undefined
        table.deleteRange(a.bounds)
        return (model) => model.keep(a.at, (key) => !isWithin(key, a.bounds))
      case 'clear':
        table.clear()
        return (model) => model.keep(a.at, () => false)
    }
  }

  async #expectGet(host: Host, model: Model, now: number, at: Where, key: Key): Promise<void> {
    const value = model.get(at, key, now)
    const table = this.#table(host, at)
    expect(await table.get(key)).toEqual(value)
    expect(await table.has(key)).toBe(value !== undefined)
    expect(await table.getMany([key, key])).toEqual([value, value])
  }

  async #expectList(
    host: Host,
    model: Model,
    now: number,
    at: Where,
    bounds: Bounds,
    { reverse = false, limit = Infinity }: { reverse?: boolean; limit?: number | undefined } = {},
  ): Promise<void> {
    const all = model.list(at, bounds, now)
    if (reverse) all.reverse()
    const options = { ...bounds, reverse, ...(limit < Infinity && { limit }) }
    const found = await collect(this.#table(host, at).entries(options))
    expect(found.map(([key]) => show(key))).toEqual(all.slice(0, limit).map(([key]) => show(key)))
    if (limit === Infinity) expect(sorted(found)).toBe(sorted(all))
  }

  /** All begun at once; each sees what the ones before it have committed, and nothing of the buffer. */
  async #transactions(plans: readonly TransactionPlan[]): Promise<void> {
    let model = this.#committed
    const ends = plans.map(({ steps, throws }) => {
      const failure = new Error('thrown by a transaction')
      const body = async (tx: Host): Promise<void> => {
        const own = model.clone()
        for (const step of steps) {
          if (step.do === 'get') await this.#expectGet(tx, own, this.#now, step.at, step.key)
          else if (step.do === 'list') await this.#expectList(tx, own, this.#now, step.at, step.bounds)
          else this.#write(tx, step)(own)
        }
        if (throws) throw failure
        model = own
      }
      const end = this.#store.transaction(body)
      return throws ? expect(end).rejects.toBe(failure) : end
    })
    await Promise.all(ends)
    this.#commits(model)
  }

  async #act(a: Action): Promise<void> {
    const store = this.#store
    switch (a.do) {
      case 'put':
      case 'delete':
      case 'deleteRange':
      case 'clear': {
        const write = this.#write(store, a)
        this.#buffered.push(write)
        write(this.#current)
        break
      }
      case 'tick':
        this.#now += a.ms
        break
      case 'commit':
        await store.commit()
        this.#buffered = []
        this.#committed = this.#current.clone()
        break
      case 'burst': {
        // Commits that are not waited for: each an entry of its own, appended while folds run beside them.
        const commits = a.keys.map((key, i) => {
          store.put(key, i)
          this.#current.at(everywhere(''), key).set(key, { value: i, until: Infinity })
          return store.commit({ label: String(i) })
        })
        const versions = (await Promise.all(commits)).map(({ version }) => version)
        expect(versions).toEqual([...new Set(versions)].sort((x, y) => x - y))
        if (commits.length === 0) break
        this.#buffered = []
        this.#committed = this.#current.clone()
        break
      }
      case 'transactions':
        await this.#transactions(a.plans)
        break
      case 'discard':
        store.discard()
        this.#drop()
        break
      case 'checkpoint':
        await store.checkpoint()
        break
      case 'reopen': {
        const { version } = store
        await this.#close()
        await this.#open()
        expect(this.#store.version).toBe(version)
        this.#drop()
        break
      }
      case 'reopen in place': {
        // Snapshots and watches go on.
        const { version } = store
        await store.reopen()
        expect(store.version).toBe(version)
        this.#drop()
        break
      }
      case 'snapshot': {
        const snapshot = await store.snapshot()
        expect(snapshot.version).toBe(store.version)
        this.#snapshots.push({ snapshot, model: this.#committed.clone() })
        break
      }
      case 'look back': {
        const taken = this.#snapshots[a.which % this.#snapshots.length]
        if (taken === undefined) break
        const { snapshot, model } = taken
        await this.#expectList(snapshot, model, snapshot.time, a.at, a.bounds)
        for (const [key] of model.list(a.at, {}, -Infinity).slice(0, 2)) {
          await this.#expectGet(snapshot, model, snapshot.time, a.at, key)
        }
        break
      }
      case 'get':
        await this.#expectGet(store, this.#current, this.#now, a.at, a.key)
        break
      case 'scan':
        await this.#expectList(store, this.#current, this.#now, a.at, a.bounds, a)
    }
  }
}

describe('a store', () => {
  test('reads as a sorted map under random puts, deletes, ranges, expiries, commits, transactions, folds, merges and reopenings, now, in snapshots and by watches', async () => {
    const runs = fc.asyncProperty(fc.array(action, { maxLength: 80, size: 'max' }), tails, (actions, entries) =>
      new Life(entries, 1, () => 0).run(actions),
    )
    await fc.assert(runs, { numRuns: extent(300, 35) })
  })

  test('does so with several partitions too, each key where docs/format.md routes it', async () => {
    const { partitionOf } = await import('../../src/store/reads.js')
    const runs = fc.asyncProperty(fc.array(action, { maxLength: 80, size: 'max' }), tails, (actions, entries) =>
      new Life(entries, 3, (key) => partitionOf(key, 3)).run(actions),
    )
    await fc.assert(runs, { numRuns: extent(200, 25) })
  })
})
