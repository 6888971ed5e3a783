/** The store as handlers see it: one partition of it, chosen by the source's partition or by the event's key. */
import type { Key } from '../bytes/keys.js'
import type { StoreHandle } from '../store/handle.js'
import { Partition } from '../store/tables.js'
import type { TableHost } from '../store/table-host.js'
import { partitionOf } from '../store/reads.js'
import type { AnyTableOptions } from '../store/table-options.js'
import type { TableSpec } from '../store/table-spec.js'

export class States {
  readonly #handle: StoreHandle
  readonly #host: TableHost
  /** Whether the source has as many partitions as the store, so that each goes to its own. */
  readonly #aligned: boolean
  readonly #states: (Partition | undefined)[] = []

  /** `host` is the buffer of the run. */
  constructor(handle: StoreHandle, host: TableHost, aligned: boolean) {
    this.#handle = handle
    this.#host = host
    this.#aligned = aligned
  }

  /** The partition of the store to which an event belongs. */
  partitionFor(sourcePartition: number, key: Key | undefined): number {
    if (this.#aligned) return sourcePartition
    return key === undefined ? 0 : partitionOf(key, this.#handle.partitions)
  }

  of(partition: number): Partition {
    return (this.#states[partition] ??= openState(this.#handle, this.#host, partition))
  }
}

/** Like `store.partition(number)`, but it looks each table up once: handlers call `table(name)` at every event. */
function openState(handle: StoreHandle, host: TableHost, number: number): Partition {
  const specs = new Map<string, TableSpec>()
  const specOf = (name: string, options: AnyTableOptions): TableSpec => {
    const known = specs.get(name)
    if (known !== undefined && Object.keys(options).length === 0) return known
    const spec = handle.spec(name, options)
    specs.set(name, spec)
    return spec
  }
  return new Partition(host, handle.spec('', {}), number, specOf)
}
