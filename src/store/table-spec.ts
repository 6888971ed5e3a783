/** The codec, schema and time to live of a table. */
import { decodeJson, encodeJson, jsonCodec, type Codec } from '../bytes/codec.js'
import { mapKeyToKey, type MapKey } from '../bytes/keys.js'
import { copyBytes, isBytes } from '../bytes/kinds.js'
import { refusePromise } from '../callback.js'
import { TidemarkError, corrupt, invalid, isTidemarkError, reasonOf, show } from '../errors.js'
import { sliceOf, type Slice } from '../bytes/slice.js'
import { splitVersion, withVersion } from './value-version.js'
import { recordedCodec, type ShardState } from '../engine/state.js'
import { recordedId, splitId } from '../manifest/codec-id.js'
import {
  definitionOf,
  type AnyTableOptions,
  type Indexes,
  type StandardResult,
  type StandardSchema,
} from './table-options.js'

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
export interface RecordedCodec {
  codec: string | undefined
}

export type Freeze = ((value: unknown) => unknown) | undefined

/** A table with all its options settled. */
export class TableSpec {
  readonly codec: Codec<unknown>
  readonly #schema: StandardSchema<unknown> | undefined
  readonly ttlMs: number
  readonly version: number
  /** The id under which the table is recorded: its codec's, and the version of its values. */
  readonly id: string
  readonly indexes: Indexes
  /** Why its indexes cannot be built of the rows that are there. */
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
    this.version = options.version ?? 1
    this.id = recordedId(this.codec.id, this.version)
    const { indexes = {} } = options
    this.indexes = new Map(Object.entries(indexes).map(([name, index]) => [name, definitionOf(index)]))
  }

  /** The table in messages. */
  get title(): string {
    return titleOf(this.name)
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
      throw invalid(
        `The value of ${key} cannot be encoded: ${reason}. After a put(), delete the key or discard() to go on.`,
        cause,
      )
    }
    if (slice === undefined)
      throw invalid(`The codec "${this.codec.id}" did not return a Uint8Array for ${nameOf(mapKey)}.`)
    const length = slice.to - slice.from
    if (length <= MAX_VALUE_BYTES) return this.version > 1 ? withVersion(slice, this.version) : slice
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
      const value =
        this.version > 1 || (this.#isDefault && bytes[0] === 1) ? this.#upgraded(bytes) : this.#plain(bytes, text)
      return this.freeze ? this.freeze(value) : value
    } catch (cause) {
      if (isTidemarkError(cause)) throw cause
      throw corrupt(`A stored value cannot be decoded by the codec "${this.codec.id}".`, cause)
    }
  }

  #plain(bytes: Uint8Array, text?: string): unknown {
    // The default one only looks at them; another may change them in place, keep them, or give them away.
    if (this.#isDefault) return decodeJson(bytes, text)
    const value = this.codec.decode(copyBytes(bytes))
    refusePromise(`The codec "${this.codec.id}"`, value)
    return value
  }

  /** The value in the version of the table. */
  #upgraded(bytes: Uint8Array): unknown {
    const { version, rest } = splitVersion(bytes)
    if (version > this.version) throw this.#tooNew(version)
    const value = this.#plain(rest)
    if (version === this.version) return value
    let upgraded: unknown
    try {
      upgraded = this.options.upgrade!(value as never, version)
    } catch (cause) {
      throw invalid(`upgrade: that of ${this.title} threw on a value of version ${version}; see the cause.`, cause)
    }
    refusePromise('upgrade', upgraded)
    if (upgraded === undefined) throw invalid(`upgrade: that of ${this.title} returned nothing.`)
    return upgraded
  }

  #tooNew(version: number): TidemarkError {
    return new TidemarkError(
      'UNSUPPORTED_FORMAT',
      `Values of ${this.title} have version ${version}, and this program knows them up to version ${this.version}: update the program.`,
    )
  }

  /** Refuses a table that was written with another codec or in a later version, whenever that comes to light. */
  assertCodec(): void {
    const recorded = this.#recorded.codec
    if (recorded === undefined || recorded === this.id || this.codec === storedBytes) return
    const { codec, version } = splitId(recorded)
    if (codec === this.codec.id) {
      if (version > this.version) throw this.#tooNew(version)
      return
    }
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `${this.name === '' ? 'The default table' : `Table "${this.name}"`} was written with the codec "${codec}", not "${this.codec.id}"; open it with that codec first.`,
    )
  }
}

const nameOf = (key: MapKey): string => `key ${show(mapKeyToKey(key))}`

/** A table in messages. */
export const titleOf = (name: string): string => (name === '' ? 'the default table' : `table "${name}"`)
