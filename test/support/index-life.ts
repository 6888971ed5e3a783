/** Random lives of a table with indexes: whatever happens to it, each index is what its function makes of the rows. */
import { expect } from 'vitest'
import { systemClock, type Clock, type Live, type Storage, type Store, type Table } from 'tidemark'
import type * as Sources from './sources.js'
import { until } from './until.js'

interface Row {
  readonly n?: number
  readonly tags?: readonly string[]
  readonly mail?: string
}

type Indexes = { readonly [name: string]: unknown }

const ALL = {
  byN: (row: Row) => row.n,
  byTag: { key: (row: Row) => row.tags, many: true },
  byMail: { key: (row: Row) => row.mail, unique: true },
}
const SETS: readonly Indexes[] = [ALL, { byN: ALL.byN }, { byTag: ALL.byTag, byMail: ALL.byMail }, ALL]

/** Numbers from 0 to 1 that a seed gives (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export class IndexLife {
  readonly #sources: typeof Sources
  readonly #random: () => number
  readonly #storage: Storage
  readonly #partitions: number
  readonly #mode: 'exclusive' | 'shared'
  /** Rows that have one unique key, side by side since a restore for instance, are removed at once. */
  readonly #isMended: boolean
  #indexes: Indexes
  #passed = 0
  #stores: Store[] = []
  /** What each of them shows of its indexes, by name. */
  readonly #lives = new Map<Store, Map<string, Live<unknown>>>()
  readonly log: string[] = []

  constructor(sources: typeof Sources, seed: number) {
    this.#sources = sources
    this.#random = randomOf(seed)
    this.#storage = sources.memory()
    this.#partitions = this.#pick([1, 1, 2, 3])
    this.#mode = this.#pick(['exclusive', 'shared'])
    this.#indexes = this.#pick(SETS)
    this.#isMended = this.#random() < 0.5
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)]!
  }

  get #key(): string {
    return this.#pick(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
  }

  get #row(): Row {
    const row: { n?: number; tags?: string[]; mail?: string } = {}
    if (this.#random() < 0.8) row.n = Math.floor(this.#random() * 4)
    if (this.#random() < 0.6) row.tags = ['x', 'y', 'z'].filter(() => this.#random() < 0.5)
    if (this.#random() < 0.4) row.mail = this.#pick(['1@', '2@', '3@', '4@', '5@'])
    return row
  }

  get #options(): { ttlMs?: number } {
    return this.#random() < 0.2 ? { ttlMs: this.#pick([20, 60]) } : {}
  }

  #clock(): Clock {
    return {
      ...systemClock,
      now: () => 1_700_000_000_000 + this.#passed,
      monotonic: () => this.#passed,
    }
  }

  async #open(name = 's', mode: 'exclusive' | 'shared' | 'follower' = this.#mode): Promise<Store> {
    return this.#sources.openStore({
      storage: this.#storage,
      name,
      mode,
      force: true,
      logger: false,
      clock: this.#clock(),
      checkpoint: { entries: 4, bytes: this.#pick([600, 100_000]) },
      ...(mode === 'follower' ? {} : { partitions: this.#partitions }),
      segmentBytes: 600,
      blockBytes: 100,
    }) as Promise<Store>
  }

  /** Begins to show the indexes. */
  #show(store: Store): void {
    const shown = new Map<string, Live<unknown>>()
    for (const name of Object.keys(this.#indexes)) shown.set(name, this.#table(store).index(name).live())
    this.#lives.set(store, shown)
  }

  async #checkShown(store: Store): Promise<void> {
    for (const [name, live] of this.#lives.get(store)!) {
      const rows = await this.#table(store).index(name).toArray()
      await until(() => JSON.stringify(live.current) === JSON.stringify(rows), 5_000)
      expect(live.current, `live ${name}\n${this.log.join('\n')}`).toEqual(rows)
    }
  }

  #table(store: Pick<Store, 'table'>, indexes = this.#indexes): Table<string, Row> {
    return store.table<string, Row>('t', { indexes: indexes as never })
  }

  async run(steps: number): Promise<void> {
    this.#stores = [await this.#open()]
    if (this.#mode === 'shared') this.#stores.push(await this.#open())
    for (const store of this.#stores) this.#show(store)
    for (let i = 0; i < steps; i++) {
      const at = Math.floor(this.#random() * this.#stores.length)
      await this.#step(at)
      if (process.env['TIDEMARK_VERIFY']) await this.#verify('s')
      await this.#check(this.#stores[at]!, this.log.at(-1)!)
    }
    for (const store of this.#stores) store.discard()
    // A live range looks at the clock when something is committed.
    await this.#table(this.#stores[0]!).set('last', { n: 1 })
    for (const store of this.#stores) {
      await store.refresh()
      await this.#check(store, 'at the end')
      await this.#checkShown(store)
    }
    for (const store of this.#stores) await store.close()
    await this.#verify('s')
  }

  async #verify(name: string): Promise<void> {
    const { damages } = await this.#sources.verify({ storage: this.#storage, name })
    expect(damages, this.log.join('\n')).toEqual([])
  }

  /** The indexes of a store or a snapshot are what their functions make of its rows. */
  async #check(
    store: Pick<Store, 'table'> & { readonly version?: number },
    when: string,
    indexes = this.#indexes,
  ): Promise<void> {
    const table = this.#table(store, indexes)
    const { version } = store
    const rows = await table.toArray()
    for (const [name, index] of Object.entries(indexes)) {
      const { key, many, unique } = (typeof index === 'function' ? { key: index } : index) as {
        key: (row: Row) => unknown
        many?: boolean
        unique?: boolean
      }
      const expected = rows.flatMap(([id, row]) => {
        const given = key(row)
        const keys = many ? [...new Set((given ?? []) as string[])] : given === undefined ? [] : [given]
        return keys.map((each) => [each, id, row])
      })
      const order = ([a, b]: readonly unknown[]): string => `${String(a)} ${String(b)}`
      const sorted = expected.sort((a, b) => (order(a) < order(b) ? -1 : 1))
      const found = await table.index(name).toArray()
      // What builds an index beside this may have met what others have written.
      if (store.version !== version) return this.#check(store, when, indexes)
      expect(found, `${name} ${when}\n${this.log.join('\n')}`).toEqual(sorted)
      // What is not committed yet is not judged yet.
      if (unique && when === 'at the end' && this.#isMended)
        expect(new Set(sorted.map(([each]) => each)).size, this.log.join('\n')).toBe(sorted.length)
      const from = sorted[Math.floor(sorted.length / 2)]?.[0] as string | undefined
      if (from === undefined) continue
      const count = await table.index(name).count({ gte: from })
      if (store.version === version) expect(count).toBe(sorted.filter(([each]) => (each as string) >= from).length)
    }
  }

  /** What an index refuses changes nothing; the buffer is then dropped. */
  async #attempt(store: Store, act: () => Promise<unknown>): Promise<void> {
    await act().catch((error: { code?: string }) => {
      if (error.code !== 'INVALID_ARGUMENT' && error.code !== 'CONFLICT') throw error
      store.discard()
    })
  }

  async #step(at: number): Promise<void> {
    const store = this.#stores[at]!
    const table = this.#table(store)
    const what = this.#pick([
      'put',
      'put',
      'put',
      'delete',
      'range',
      'clear',
      'commit',
      'commit',
      'commit',
      'set',
      'set',
      'burst',
      'update',
      'touch',
      'transaction',
      'tick',
      'checkpoint',
      'refresh',
      'reopen',
      'restore',
      'restore some',
      'past',
      'fork',
      'copy',
      'other indexes',
      'none',
      'swap',
      'maintain',
      'follower',
    ] as const)
    this.log.push(`${at} ${what}`)
    switch (what) {
      case 'put':
        return table.put(this.#key, this.#row, this.#options)
      case 'delete':
        return table.delete(this.#key)
      case 'range':
        return table.deleteRange({ gte: this.#key, lt: this.#key })
      case 'clear':
        return table.clear()
      case 'commit':
        return this.#attempt(store, () => store.commit())
      case 'set':
        return this.#attempt(store, () => table.set(this.#key, this.#row, this.#options))
      case 'burst': {
        const all = Array.from({ length: 5 }, () => {
          const random = this.#random()
          if (random < 0.2) table.put(this.#key, this.#row)
          return random < 0.4
            ? store.commit()
            : random < 0.7
              ? table.set(this.#key, this.#row)
              : table.update(this.#key, () => this.#row)
        })
        await Promise.allSettled(all)
        store.discard()
        return
      }
      case 'update':
        return this.#attempt(store, () =>
          table.update(this.#key, (row) => (this.#random() < 0.3 ? undefined : { ...row, ...this.#row })),
        )
      case 'touch':
        return this.#attempt(store, () => table.touch(this.#key, this.#options))
      case 'swap':
        table.put('a', { mail: '1@' })
        table.put('b', { mail: '2@' })
        await this.#attempt(store, () => store.commit())
        return this.#attempt(store, () =>
          table.write([
            { type: 'put', key: 'a', value: { mail: '2@' } },
            { type: 'put', key: 'b', value: { mail: '1@' } },
          ]),
        )
      case 'transaction':
        return this.#attempt(store, () =>
          store.transaction(async (tx) => {
            const own = this.#table(tx)
            own.put(this.#key, this.#row)
            own.delete(this.#key)
            await this.#check(tx, 'in a transaction')
          }),
        )
      case 'tick':
        this.#passed += 30
        return
      case 'checkpoint':
        return store.checkpoint()
      case 'maintain':
        return void (await store.maintain())
      case 'refresh':
        return store.refresh()
      case 'reopen':
        store.discard()
        return store.reopen()
      case 'restore':
      case 'restore some': {
        store.discard()
        await store.refresh()
        const versions: number[] = []
        for await (const { version } of store.versions({ limit: 20, reverse: true })) versions.push(version)
        if (versions.length === 0) return
        const partitions = what === 'restore' ? {} : { partitions: [Math.floor(this.#random() * this.#partitions)] }
        await this.#attempt(store, () => store.restore(this.#pick(versions), partitions))
        // Rows of several versions side by side may have one unique key.
        await this.#mend(store)
        return
      }
      case 'past': {
        const versions: number[] = []
        for await (const { version } of store.versions({ limit: 20, reverse: true })) versions.push(version)
        if (versions.length === 0) return
        const version = this.#pick(versions)
        const past = await store.at(version)
        // Rows of several versions may be side by side in it.
        await this.#check(past, `at ${version}`, { byN: ALL.byN, byTag: ALL.byTag })
        return
      }
      case 'fork': {
        if (store.version === 0) return
        const name = `f${this.log.length}`
        await store.fork(name)
        const fork = await this.#open(name)
        await this.#check(fork, 'in a fork')
        await this.#attempt(fork, () => this.#table(fork).set(this.#key, this.#row))
        await this.#check(fork, 'in a fork that was changed')
        await fork.close()
        return this.#verify(name)
      }
      case 'copy': {
        if (store.version === 0) return
        const name = `c${this.log.length}`
        await this.#sources.push({ storage: this.#storage, name: 's' }, { storage: this.#storage, name })
        const copy = await this.#open(name)
        await this.#check(copy, 'in a copy')
        await copy.close()
        return this.#verify(name)
      }
      case 'follower': {
        const follower = await this.#open('s', 'follower')
        await this.#check(follower, 'in a follower')
        return follower.close()
      }
      case 'none': {
        // A program without the indexes writes in between.
        store.discard()
        const other = await this.#open('s', this.#mode)
        const plain = other.table<string, Row>('t')
        await plain.set(this.#pick(['q', 'r']), { n: 2, tags: ['x'] })
        await other.close()
        if (this.#mode === 'exclusive') await store.reopen()
        return store.refresh()
      }
      case 'other indexes': {
        for (const each of this.#stores) await each.close()
        this.#indexes = this.#pick(SETS)
        this.#stores = [await this.#open()]
        if (this.#mode === 'shared') this.#stores.push(await this.#open())
        for (const each of this.#stores) this.#show(each)
        await this.#mend(this.#stores[0]!)
        return
      }
    }
  }

  /** Removes rows until no two have one unique key, through a program that has no indexes. */
  async #mend(store: Store): Promise<void> {
    if (!this.#isMended) return
    const other = await this.#open('s', this.#mode)
    const seen = new Set<string>()
    for (let p = 0; p < this.#partitions; p++) {
      const part = other.partition(p).table<string, Row>('t')
      for (const [key, { mail }] of await part.toArray()) {
        if (mail !== undefined && seen.has(mail)) await part.remove(key)
        else if (mail !== undefined) seen.add(mail)
      }
    }
    await other.close()
    if (this.#mode === 'exclusive') await store.reopen()
    for (const each of this.#stores) {
      each.discard()
      await each.refresh()
    }
  }
}
