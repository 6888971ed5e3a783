/** A table together with the others of its store: what stores, snapshots and transactions have in common. */
import type { Key } from '../bytes/keys.js'
import { required } from './options.js'
import type { TableHost } from './table-host.js'
import { Table } from './table.js'
import type { AnyTableOptions, TableOptions } from './table-options.js'
import type { TableSpec } from './table-spec.js'

declare global {
  // As lib.esnext.disposable has it: a program that is compiled without that has to understand these declarations, too.
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol
  }
}

/** `await using` closes it. */
export interface Disposable {
  /** Lets go of what it holds. */
  [Symbol.asyncDispose](): Promise<void>
}

export interface TablesHost extends TableHost {
  /** The table of this name, made once per handle. */
  spec(name: string, options: AnyTableOptions): TableSpec
}

/** The reads and writes of a store through one partition that the caller names. They throw as those of a table do. */
export class Partition<K extends Key = Key, V = unknown> extends Table<K, V> {
  readonly #host: TableHost
  readonly #specOf: TablesHost['spec']
  readonly #tables = new WeakMap<TableSpec, Table<never, never>>()

  /** @internal */
  constructor(
    host: TableHost,
    spec: TableSpec,
    /** The number of the partition. */
    readonly number: number,
    specOf: TablesHost['spec'],
  ) {
    super(host, spec, number)
    this.#host = host
    this.#specOf = specOf
  }

  /**
   * A table of the store, seen through this partition; with the same options it is the same object.
   * @throws `INVALID_ARGUMENT` when the name or an option is wrong, or the table was written with another codec
   * @throws `CLOSED` once the store, the snapshot or the transaction has ended
   */
  table<K2 extends Key = Key, V2 = unknown>(name: string, options: TableOptions<V2> = {}): Table<K2, V2> {
    const spec = this.#specOf(name, options)
    const table = this.#tables.get(spec) ?? new Table(this.#host, spec, this.number)
    this.#tables.set(spec, table)
    return table as unknown as Table<K2, V2>
  }
}

/** The reads and writes of a default table, and the way to the other tables and to partitions. */
export class Tables<K extends Key = Key, V = unknown> extends Table<K, V> {
  readonly #host: TablesHost
  readonly #spec: TableSpec
  readonly #tables = new WeakMap<TableSpec, Table<never, never>>()
  readonly #partitions = new Map<number, Partition>()

  /** @internal */
  constructor(host: TablesHost, spec: TableSpec) {
    super(host, spec, undefined)
    this.#host = host
    this.#spec = spec
  }

  /** How many partitions the store has; the number was fixed when the store was created. It is known after `close()`, too. */
  get partitions(): number {
    return this.#host.partitions
  }

  /**
   * A table of its own: the same calls, another space of keys. An option that is left out is as it was when the table was
   * last asked for; with the same options it is the same object.
   *
   * @throws `INVALID_ARGUMENT` when the name (at most 255 bytes) or an option is wrong, or the table was written with
   *   another codec
   * @throws `CLOSED` once the store, the snapshot or the transaction has ended
   * @example
   *     const users = store.table<string, User>('users', { ttlMs: 3_600_000 })
   */
  table<K2 extends Key = Key, V2 = unknown>(name: string, options: TableOptions<V2> = {}): Table<K2, V2> {
    const spec = this.#host.spec(name, options)
    const table = this.#tables.get(spec) ?? new Table(this.#host, spec, undefined)
    this.#tables.set(spec, table)
    return table as unknown as Table<K2, V2>
  }

  /**
   * The same reads and writes on one partition, whatever partition the keys would go to by themselves. A key that is put
   * through a partition is read through it. It is the same object each time.
   * @throws `INVALID_ARGUMENT` when there is no partition of this number
   * @example
   *     store.partition(2).put('o-1', { total: 12 })
   */
  partition(number: number): Partition<K, V> {
    const host = this.#host
    const checked = required('partition', number, 0, host.partitions - 1)
    const known = this.#partitions.get(checked)
    const partition = known ?? new Partition(host, this.#spec, checked, (name, options) => host.spec(name, options))
    this.#partitions.set(checked, partition)
    return partition as unknown as Partition<K, V>
  }
}
