/** The tables that a handle has been asked for: what each was opened with, and the codec that it was written with. */
import { toBinary } from '../bytes/binary.js'
import { recordedCodec, type ShardState } from '../engine/state.js'
import {
  checkTableOptions,
  storedBytes,
  TableSpec,
  type AnyTableOptions,
  type Freeze,
  type RecordedCodec,
} from './table-spec.js'

export class Specs {
  readonly #freeze: Freeze
  readonly #known = new Map<string, { readonly spec: TableSpec; readonly recorded: RecordedCodec }>()

  constructor(freeze: Freeze) {
    this.#freeze = freeze
  }

  /** What is left out of the options is as it was when the table was last asked for. */
  open(name: string, bytes: Uint8Array, options: AnyTableOptions, state: ShardState): TableSpec {
    const key = toBinary(bytes)
    const known = this.#known.get(key)
    const { codec, schema, ttlMs } = checkTableOptions(options)
    if (known !== undefined && codec === undefined && schema === undefined && ttlMs === undefined) return known.spec
    const before = known?.spec.options
    const settled = {
      codec: codec ?? before?.codec,
      schema: schema ?? before?.schema,
      ttlMs: ttlMs ?? before?.ttlMs,
    }
    const recorded = known?.recorded ?? { codec: undefined }
    recorded.codec = recordedCodec(state, bytes) ?? recorded.codec
    const spec = new TableSpec(name, bytes, settled, recorded, this.#freeze)
    spec.assertCodec()
    settle(recorded, spec)
    this.#known.set(key, { spec, recorded })
    return spec
  }

  /** The table as it is to be read in `state`. One that nobody has opened gets no codec by being looked at. */
  look(name: string, bytes: Uint8Array, state: ShardState): TableSpec {
    const known = this.#known.get(toBinary(bytes))
    const codec = recordedCodec(state, bytes)
    if (known === undefined) return new TableSpec(name, bytes, {}, { codec }, this.#freeze)
    known.recorded.codec = codec ?? known.recorded.codec
    return known.spec
  }

  of(table: Uint8Array): TableSpec {
    return this.#known.get(toBinary(table))!.spec
  }

  /** Looks again after others may have written. */
  recheck(state: ShardState): void {
    for (const { spec, recorded } of this.#known.values()) {
      recorded.codec = recordedCodec(state, spec.bytes)
      settle(recorded, spec)
    }
  }
}

/** Not written yet, and still not to be written with two. */
function settle(recorded: RecordedCodec, { codec }: TableSpec): void {
  if (codec !== storedBytes) recorded.codec ??= codec.id
}
