/** The codec, schema and time to live of a table. */
import { decodeJson, encodeJson, jsonCodec, type Codec } from '../bytes/codec.js'
import { mapKeyToKey, type Key, type MapKey } from '../bytes/keys.js'
import { copyBytes, isBytes } from '../bytes/kinds.js'
import { refusePromise } from '../callback.js'
import { TidemarkError, corrupt, invalid, isTidemarkError, reasonOf, show } from '../errors.js'
import { toBinary } from '../bytes/binary.js'
import { utf8 } from '../bytes/utf8.js'
import { MAX_TABLE_BYTES } from '../log/delta.js'
import { sliceOf, type Slice } from '../bytes/slice.js'
import type { Memtable } from '../engine/memtable.js'
import { recordedCodec, type ShardState } from '../engine/state.js'
import { checker, optional, type Check } from './options.js'

/** The part of Standard Schema (v1) that is used here; validation must be synchronous. */
export interface StandardSchema<V> {
  /** The schema as its standard has it: who made it, and the function that checks a value. */
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<V> | Promise<StandardResult<V>>
    readonly types?: { readonly input: unknown; readonly output: V } | undefined
  }
}

/** The checked value, or what is wrong with the given one. */
type StandardResult<V> =
  | { readonly value: V; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] }

/** Options of a table. */
export interface TableOptions<V = unknown> {
  /**
   * How values become bytes, and bytes values. Its id is stored with the table: who opens the table with another codec is
   * refused with `INVALID_ARGUMENT`.
   * @default `jsonCodec`: JSON that keeps Uint8Array, Date, bigint, Map, Set, NaN, infinities and -0
   */
  readonly codec?: Codec<V> | undefined
  /**
   * Checks each value when it is put, and refuses it with `INVALID_ARGUMENT`; what it returns is what is stored.
   * @default any value is taken
   */
  readonly schema?: StandardSchema<V> | undefined
  /**
   * How long values live from their put on, in milliseconds.
   * @default for ever
   */
  readonly ttlMs?: number | undefined
  /**
   * Indexes of the table, by their names: a function that returns the key by which an index has a value, or `undefined` for
   * none. An index that the data does not have yet is built; one that the data has and that is left out is dropped by the next
   * commit to the table, from whatever handle. Whoever changes what a function returns raises `version`, too.
   * @default those that the table was last asked for with; none
   */
  readonly indexes?: { readonly [name: string]: IndexOptions<V> } | undefined
}

/** An index: the function that gives its key, or that with more. */
export type IndexOptions<V = unknown> =
  | ((value: V) => Key | undefined)
  | {
      /** The key by which the index has the value: any key, `undefined` for none; with `many` an array of them. */
      readonly key: (value: V) => Key | undefined | readonly (Key | undefined)[]
      /**
       * The function returns an array of keys, and the index has the value by each of them.
       * @default false
       */
      readonly many?: boolean | undefined
      /**
       * No two rows may have the same key: the later one is refused with `INVALID_ARGUMENT`.
       * @default false
       */
      readonly unique?: boolean | undefined
    }

/** An index with all its options settled. */
export interface IndexDefinition {
  readonly key: (value: never) => unknown
  readonly many: boolean
  readonly unique: boolean
}

type AnyIndexes = { readonly [name: string]: IndexOptions<never> }
export type Indexes = ReadonlyMap<string, IndexDefinition>

type AnyCodec = { readonly id: string; encode(value: never): Uint8Array; decode(bytes: Uint8Array): unknown }

/** The options of a table whatever its values are. */
export interface AnyTableOptions {
  readonly codec?: AnyCodec | undefined
  readonly schema?: StandardSchema<unknown> | undefined
  readonly ttlMs?: number | undefined
  readonly indexes?: AnyIndexes | undefined
}

const codec: Check<AnyCodec> = (_, given) => {
  const { id, encode, decode } = Object(given) as Partial<AnyCodec>
  const isNamed = typeof id === 'string' && id !== '' && id.length <= 255
  if (isNamed && typeof encode === 'function' && typeof decode === 'function') return given as AnyCodec
  throw invalid('codec: { id, encode, decode } is expected, the id of 1 to 255 characters.')
}

const schema: Check<StandardSchema<unknown>> = (_, given) => {
  const checked = given as StandardSchema<unknown> | null
  if (typeof checked?.['~standard']?.validate === 'function') return checked
  throw invalid('schema: a Standard Schema is expected, as zod has them.')
}

export const checkTtl: Check<number> = (name, given) => {
  if (typeof given === 'number' && Number.isFinite(given) && given > 0 && given <= 2 ** 50) return Math.ceil(given)
  throw invalid(`${name}: a positive number is expected, not ${show(given)}.`)
}

const indexes: Check<AnyIndexes> = (_, given) => {
  for (const [name, index] of Object.entries(Object(given) as AnyIndexes)) {
    const { key, many, unique } = definitionOf(index)
    if (name !== '' && typeof key === 'function' && typeof many === 'boolean' && typeof unique === 'boolean') continue
    throw invalid(`indexes: "${name}" is a function, or { key, many, unique } with a function and two times true or false.`)
  }
  return given as AnyIndexes
}

function definitionOf(index: IndexOptions<never>): IndexDefinition {
  const { key, many = false, unique = false } = typeof index === 'function' ? { key: index } : Object(index) as Exclude<typeof index, Function>
  return { key, many, unique }
}

export const TABLE_OPTIONS = {
  codec: optional(codec),
  schema: optional(schema),
  ttlMs: optional(checkTtl),
  indexes: optional(indexes),
}
const checkTable = checker('table', TABLE_OPTIONS)

/**
 * Stands for whichever codec a table was written with: its values are their bytes as stored. For tools that only read.
 */
export const storedBytes: Codec<Uint8Array> = {
  id: '(as stored)',
  encode() {
    throw invalid('A table of stored bytes is read only.')
  },
  decode: (bytes) => bytes,
}

/** The largest encoded value, in bytes. */
const MAX_VALUE_BYTES = 64 << 20

/** The complaints of a schema as text, whatever it makes them of. */
function messagesOf(issues: unknown): string {
  if (!Array.isArray(issues)) return show(issues)
  return Array.from(issues, reasonOf).join('; ')
}

/** The codec that a table was written with, as far as is known; one object for all who opened the table. */
interface RecordedCodec {
  codec: string | undefined
}

const NO_INDEXES: Indexes = new Map()

export type Freeze = ((value: unknown) => unknown) | undefined

/** A table with all its options settled. */
export class TableSpec {
  readonly codec: Codec<unknown>
  readonly #schema: StandardSchema<unknown> | undefined
  readonly ttlMs: number
  readonly version = 1
  readonly #indexes: Indexes
  /** Why the indexes cannot be built of the rows that are there. */
  unbuildable: TidemarkError | undefined
  readonly #isDefault: boolean
  readonly #recorded: RecordedCodec

  constructor(
    readonly name: string,
    readonly bytes: Uint8Array,
    readonly options: AnyTableOptions,
    recorded: RecordedCodec,
    /** Freezes values put and read. */
    readonly freeze?: Freeze,
  ) {
    this.codec = (options.codec as Codec<unknown> | undefined) ?? jsonCodec
    this.#isDefault = this.codec === jsonCodec
    this.#schema = options.schema
    this.#recorded = recorded
    this.ttlMs = options.ttlMs ?? 0
    const { indexes = {} } = options
    this.#indexes = new Map(Object.entries(indexes).map(([name, index]) => [name, definitionOf(index)]))
  }

  /** The table in messages. */
  get title(): string {
    return this.name === '' ? 'the default table' : `table "${this.name}"`
  }

  get indexes(): Indexes {
    return this.unbuildable ? NO_INDEXES : this.#indexes
  }

  giveUp(reason: TidemarkError): void {
    this.unbuildable = reason
  }

  /** Whether nothing was ever written to it. */
  isEmptyIn(state: ShardState): boolean {
    return recordedCodec(state, this.bytes) === undefined
  }

  /** The value as it is to be stored. */
  checkValue(value: unknown): unknown {
    this.assertCodec()
    let checked = value
    if (this.#schema !== undefined) {
      let result: ReturnType<StandardSchema<unknown>['~standard']['validate']>
      try {
        result = this.#schema['~standard'].validate(value)
      } catch (cause) {
        throw invalid('schema: validation threw; see the cause.', cause)
      }
      refusePromise('schema: validation', result)
      result = result as StandardResult<unknown>
      if (typeof result !== 'object' || result === null) throw invalid('schema: validation returned nothing.')
      if (result.issues) throw invalid(`The value does not fit its schema: ${messagesOf(result.issues)}.`)
      checked = result.value
    }
    if (checked === undefined) throw invalid('undefined is not a value; delete the key, or store null.')
    if (!this.freeze) return checked
    try {
      return this.freeze(checked)
    } catch (cause) {
      throw invalid('freeze: the value cannot be frozen; see the cause.', cause)
    }
  }

  encode(value: unknown, mapKey: MapKey): Slice {
    this.assertCodec()
    let slice: Slice | undefined
    try {
      // The default one makes them anew.
      slice = this.#isDefault ? encodeJson(value) : this.#ownEncode(value)
    } catch (cause) {
      const reason = reasonOf(cause).replace(/[.\s]*$/, '')
      const key = nameOf(mapKey)
      throw invalid(`The value of ${key} cannot be encoded: ${reason}. Delete the key or discard() to go on.`, cause)
    }
    if (slice === undefined)
      throw invalid(`The codec "${this.codec.id}" did not return a Uint8Array for ${nameOf(mapKey)}.`)
    const length = slice.to - slice.from
    if (length <= MAX_VALUE_BYTES) return slice
    throw invalid(`The value of ${nameOf(mapKey)} has ${length} bytes encoded; at most ${MAX_VALUE_BYTES} fit.`)
  }

  #ownEncode(value: unknown): Slice | undefined {
    const bytes: unknown = this.codec.encode(value)
    refusePromise(`the codec "${this.codec.id}"`, bytes)
    // It may hand out the same array again and again, or the value itself.
    return isBytes(bytes) ? sliceOf(copyBytes(bytes)) : undefined
  }

  /** Whether a value that was read is as good for the next reader: another codec may hand out what its reader then changes. */
  get isShared(): boolean {
    return this.#isDefault
  }

  /** Whether decoding gives just this value back, so that it may go on standing for its bytes. */
  comesBack(value: unknown): boolean {
    return this.#isDefault && (typeof value !== 'object' || value === null)
  }

  readonly decode = (bytes: Uint8Array, text?: string): unknown => {
    this.assertCodec()
    try {
      // The default one only looks at them; another may change them in place, keep them, or give them away.
      const value = this.#isDefault ? decodeJson(bytes, text) : this.codec.decode(copyBytes(bytes))
      if (!this.#isDefault) refusePromise(`The codec "${this.codec.id}"`, value)
      return this.freeze ? this.freeze(value) : value
    } catch (cause) {
      if (isTidemarkError(cause)) throw cause
      throw corrupt(`A stored value cannot be decoded by the codec "${this.codec.id}".`, cause)
    }
  }

  /** Refuses a table that was written with another codec, whenever that comes to light. */
  assertCodec(): void {
    const recorded = this.#recorded.codec
    if (recorded === undefined || recorded === this.codec.id || this.codec === storedBytes) return
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `The codec of ${this.title} is "${recorded}", not "${this.codec.id}"; open it with that one first.`,
    )
  }
}

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
    const names = Object.keys(given) as (keyof typeof given)[]
    if (known && names.every((option) => given[option] === undefined || given[option] === before![option])) {
      return known.spec
    }
    const settled = {
      codec: given.codec ?? before?.codec,
      schema: given.schema ?? before?.schema,
      ttlMs: given.ttlMs ?? before?.ttlMs,
      indexes: given.indexes ?? before?.indexes,
    }
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

/** Not written yet, and still not to be written with two. */
function settle(recorded: RecordedCodec, spec: TableSpec): void {
  if (spec.codec !== storedBytes) recorded.codec ??= spec.codec.id
}

const nameOf = (key: MapKey): string => `key ${show(mapKeyToKey(key))}`

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
