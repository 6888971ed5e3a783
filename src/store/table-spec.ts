/** What a table is made of beside its keys: codec, schema and time to live. */
import { jsonCodec, type Codec } from '../bytes/codec.js'
import { copyBytes, isBytes } from '../bytes/kinds.js'
import { refusePromise } from '../callback.js'
import { TidemarkError, checkFields, corrupt, invalid, isTidemarkError, reasonOf, show } from '../errors.js'

/** The part of Standard Schema (v1) that is used here; validation must be synchronous. */
export interface StandardSchema<V> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<V> | Promise<StandardResult<V>>
    readonly types?: { readonly input: unknown; readonly output: V } | undefined
  }
}

type StandardResult<V> =
  | { readonly value: V; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] }

export interface TableOptions<V = unknown> {
  /** Default: JSON that keeps Uint8Array, Date, bigint, Map, Set, NaN, infinities and -0. */
  readonly codec?: Codec<V> | undefined
  /** Checks each value when it is put; what it returns is what is stored. */
  readonly schema?: StandardSchema<V> | undefined
  /** How long values live from their put on, in milliseconds. Default: for ever. */
  readonly ttlMs?: number | undefined
}

/** The options of a table whatever its values are. */
export interface AnyTableOptions {
  readonly codec?:
    | { readonly id: string; encode(value: never): Uint8Array; decode(bytes: Uint8Array): unknown }
    | undefined
  readonly schema?: StandardSchema<unknown> | undefined
  readonly ttlMs?: number | undefined
}

const TABLE_OPTIONS = new Set(['codec', 'schema', 'ttlMs'])

export function checkTableOptions(given: AnyTableOptions): TableOptions<unknown> {
  checkFields('table', given, TABLE_OPTIONS)
  const { codec, schema, ttlMs } = given
  if (codec !== undefined) {
    const fine = typeof codec?.id === 'string' && codec.id !== '' && codec.id.length <= 255
    if (!fine || typeof codec.encode !== 'function' || typeof codec.decode !== 'function') {
      throw invalid('codec: { id, encode, decode } is expected, the id of 1 to 255 characters.')
    }
  }
  if (schema !== undefined && typeof schema?.['~standard']?.validate !== 'function') {
    throw invalid('schema: a Standard Schema is expected, as zod has them.')
  }
  if (ttlMs !== undefined) checkTtl(ttlMs)
  return given as TableOptions<unknown>
}

export function checkTtl(ttlMs: unknown): number {
  if (typeof ttlMs !== 'number' || !Number.isFinite(ttlMs) || ttlMs <= 0 || ttlMs > 2 ** 50) {
    throw invalid(`ttlMs: a positive number is expected, not ${show(ttlMs)}.`)
  }
  return Math.ceil(ttlMs)
}

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

/** What a schema says is wrong, whatever it makes that of. */
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
  readonly #isDefault: boolean
  readonly #recorded: RecordedCodec

  constructor(
    readonly name: string,
    readonly bytes: Uint8Array,
    readonly options: TableOptions<unknown>,
    recorded: RecordedCodec,
    /** Freezes values put and read. */
    readonly freeze?: Freeze,
  ) {
    this.codec = options.codec ?? jsonCodec
    this.#isDefault = this.codec === jsonCodec
    this.#schema = options.schema
    this.#recorded = recorded
    this.ttlMs = options.ttlMs === undefined ? 0 : checkTtl(options.ttlMs)
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

  /** `key` names the value in the error. */
  encode(value: unknown, key: string): Uint8Array {
    this.assertCodec()
    let bytes: unknown
    try {
      bytes = this.codec.encode(value)
      refusePromise(`the codec "${this.codec.id}"`, bytes)
      // The default one makes them anew; another may hand out the same array again and again, or the value itself.
      if (!this.#isDefault && isBytes(bytes)) bytes = copyBytes(bytes)
    } catch (cause) {
      const reason = reasonOf(cause).replace(/[.\s]*$/, '')
      throw invalid(`The value of ${key} cannot be encoded: ${reason}. Delete the key or discard() to go on.`, cause)
    }
    if (!isBytes(bytes)) throw invalid(`The codec "${this.codec.id}" did not return a Uint8Array for ${key}.`)
    if (bytes.length > MAX_VALUE_BYTES) {
      throw invalid(`The value of ${key} has ${bytes.length} bytes encoded; at most ${MAX_VALUE_BYTES} fit.`)
    }
    return bytes
  }

  /** Whether decoding gives just this value back, so that it may go on standing for its bytes. */
  comesBack(value: unknown): boolean {
    return this.#isDefault && (typeof value !== 'object' || value === null)
  }

  readonly decode = (bytes: Uint8Array): unknown => {
    this.assertCodec()
    try {
      // The default one only looks at them; another may change them in place, keep them, or give them away.
      const value = this.codec.decode(this.#isDefault ? bytes : copyBytes(bytes))
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
    const table = this.name === '' ? 'The default table' : `Table "${this.name}"`
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `${table} was written with the codec "${recorded}", not "${this.codec.id}"; open it with that codec first.`,
    )
  }
}
