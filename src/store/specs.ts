/** The tables that a handle has been asked for. */
import { toBinary } from '../bytes/binary.js'
import { utf8 } from '../bytes/utf8.js'
import { invalid, type TidemarkError } from '../errors.js'
import { MAX_TABLE_BYTES } from '../log/delta.js'
import type { Memtable } from '../engine/memtable.js'
import { recordedCodec, type ShardState } from '../engine/state.js'
import { checkTable } from './table-checks.js'
import type { AnyTableOptions } from './table-options.js'
import { storedBytes, TableSpec, titleOf, type Freeze, type RecordedCodec } from './table-spec.js'

/** The tables that a handle has been asked for: what each was opened with, and the codec that it was written with. */
export class Specs {
  readonly #freeze: Freeze
  /** Some table was opened with indexes. */
  hasIndexes = false
  readonly #known = new Map<string, { readonly spec: TableSpec; readonly recorded: RecordedCodec }>()

  constructor(freeze: Freeze) {
    this.#freeze = freeze
  }

  /** An option that is left out is as it was when the table was last asked for. */
  open(name: string, bytes: Uint8Array, options: AnyTableOptions, state: ShardState): TableSpec {
    const key = toBinary(bytes)
    const known = this.#known.get(key)
    const given = checkTable(options)
    const before = known?.spec.options
    if (
      known &&
      Object.entries(given).every(([name, option]) => isAsBefore(name, option, before![name as keyof typeof given]))
    ) {
      return known.spec
    }
    const settled = {
      codec: given.codec ?? before?.codec,
      schema: given.schema ?? before?.schema,
      ttlMs: given.ttlMs ?? before?.ttlMs,
      indexes: given.indexes ?? before?.indexes,
      version: given.version ?? before?.version,
      upgrade: given.upgrade ?? before?.upgrade,
    }
    // A tool that has looked at it as it is stored does not know yet.
    const isKnown = before !== undefined && known!.spec.codec !== storedBytes
    if (isKnown && (settled.version ?? 1) !== known!.spec.version)
      throw invalid(`version: ${titleOf(name)} was opened in another one before; give it when it is opened first.`)
    if (settled.version !== undefined && settled.version > 1 && !settled.upgrade)
      throw invalid(`version: ${titleOf(name)} needs an upgrade(value, from) for values of the versions before.`)
    this.hasIndexes ||= given.indexes !== undefined
    for (const index of Object.keys(settled.indexes ?? {})) {
      if (bytes.length + utf8(index).length > MAX_TABLE_BYTES - 3)
        throw invalid(`The names of table "${name}" and index "${index}" have more than 252 bytes together.`)
    }
    const recorded = known?.recorded ?? { codec: undefined }
    recorded.codec = recordedCodec(state, bytes) ?? recorded.codec
    const spec = new TableSpec(name, bytes, settled, recorded, this.#freeze)
    spec.assertCodec()
    settle(recorded, spec)
    this.#known.set(key, { spec, recorded })
    return spec
  }

  /** From here on the table is without its indexes, until it is opened with them again. */
  giveUp(spec: TableSpec, reason: TidemarkError): void {
    spec.unbuildable = reason
    const key = toBinary(spec.bytes)
    const { recorded } = this.#known.get(key)!
    const without = new TableSpec(
      spec.name,
      spec.bytes,
      { ...spec.options, indexes: undefined },
      recorded,
      this.#freeze,
    )
    this.#known.set(key, { spec: without, recorded })
  }

  /** The table as it is to be read in `state`. One that nobody has opened gets no codec by being read. */
  forReading(name: string, bytes: Uint8Array, state: ShardState): TableSpec {
    const known = this.#known.get(toBinary(bytes))
    const codec = recordedCodec(state, bytes)
    if (known === undefined) return new TableSpec(name, bytes, {}, { codec }, this.#freeze)
    known.recorded.codec = codec ?? known.recorded.codec
    return known.spec
  }

  /** Takes the codecs that others may have written with. */
  recheck(state: ShardState): void {
    for (const { spec, recorded } of this.#known.values()) {
      recorded.codec = recordedCodec(state, spec.bytes)
      settle(recorded, spec)
    }
  }

  /** The table as the program has opened it; all that it writes to it has. */
  of(table: Uint8Array): TableSpec {
    return this.#known.get(toBinary(table))!.spec
  }
}

/** Functions that are written down where a table is asked for are others each time. */
function isAsBefore(name: string, option: unknown, before: unknown): boolean {
  if (option === undefined || option === before) return true
  return (name === 'indexes' || name === 'upgrade') && textOf(option) === textOf(before)
}

const textOf = (option: unknown): string =>
  typeof option === 'object' && option !== null
    ? Object.entries(option)
        .map(([name, part]) => `${name}: ${textOf(part)}`)
        .join()
    : String(option)

/** Not written yet, and still not to be written with two. */
function settle(recorded: RecordedCodec, spec: TableSpec): void {
  if (spec.codec !== storedBytes) recorded.codec ??= spec.id
}

/** Gives every put of a memtable its bytes. Throws before anything is changed for the worse: what is encoded stays so. */
export function encodeMemtable(memtable: Memtable, specOf: (table: Uint8Array) => TableSpec): void {
  for (const { slot, points } of memtable.slots.values()) {
    const spec = specOf(slot.table)
    // Deletes too: an entry records the codec of each table that it changes.
    spec.assertCodec()
    for (const [key, point] of points) {
      if (point.deleted || point.isSealed) continue
      const value = point.value(spec.decode)
      point.seal(spec.encode(value, key), spec.comesBack(value))
    }
  }
}
