/** A table together with the others of its store: what stores, snapshots and transactions have in common. */
import type { Key } from '../bytes/keys.js'
import { required } from './options.js'
import type { TableHost } from './table-host.js'
import { Table } from './table.js'
import type { AnyTableOptions, TableOptions, TableSpec } from './table-spec.js'

export interface TablesHost extends TableHost {
  /** The table of this name, made once per handle. */
  spec(name: string, options: AnyTableOptions): TableSpec
}

/** The reads and writes of a store through one partition that the caller names. */
export class Partition<K extends Key = Key, V = unknown> extends Table<K, V> {
  readonly #open: <K2 extends Key, V2>(name: string, options: TableOptions<V2>) => Table<K2, V2>

  /** @internal */
  constructor(
    host: TableHost,
    spec: TableSpec,
    readonly number: number,
    open: <K2 extends Key, V2>(name: string, options: TableOptions<V2>) => Table<K2, V2>,
  ) {
    super(host, spec, number)
    this.#open = open
  }

  /** A table of the store, seen through this partition. */
  table<K2 extends Key = Key, V2 = unknown>(name: string, options: TableOptions<V2> = {}): Table<K2, V2> {
    return this.#open(name, options)
  }
}

export class Tables<K extends Key = Key, V = unknown> extends Table<K, V> {
  readonly #host: TablesHost
  readonly #spec: TableSpec

  /** @internal */
  constructor(host: TablesHost, spec: TableSpec) {
    super(host, spec, undefined)
    this.#host = host
    this.#spec = spec
  }

  /** How many there are; fixed when the store was created. */
  get partitions(): number {
    return this.#host.partitions
  }

  /** A table of its own: the same calls, another space of keys. Opened twice, it must have the same codec. */
  table<K2 extends Key = Key, V2 = unknown>(name: string, options: TableOptions<V2> = {}): Table<K2, V2> {
    return new Table<K2, V2>(this.#host, this.#host.spec(name, options), undefined)
  }

  /** The same reads and writes on one partition, whatever partition the keys would go to by themselves. */
  partition(number: number): Partition<K, V> {
    const host = this.#host
    const checked = required('partition', number, 0, host.partitions - 1)
    return new Partition<K, V>(host, this.#spec, checked, (name, options) => {
      return new Table(host, host.spec(name, options), checked)
    })
  }
}
