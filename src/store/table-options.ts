/** The options of a table, and those of its writes. */
import type { Codec } from '../bytes/codec.js'
import type { Key } from '../bytes/keys.js'

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
export type StandardResult<V> =
  | { readonly value: V; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] }

/** Options of a table. */
export interface TableOptions<V = unknown> {
  /**
   * How values become bytes, and bytes values. Its id is stored with the table: who opens the table with another codec is
   * refused with `INVALID_ARGUMENT`.
   * @default `jsonCodec`: JSON that keeps Uint8Array, Date, bigint, Map, Set, NaN, infinities and -0
   * @when Set it for values that JSON does not keep, or for a denser form.
   */
  readonly codec?: Codec<V> | undefined
  /**
   * Checks each value when it is put, and refuses it with `INVALID_ARGUMENT`; what it returns is what is stored.
   * @default any value is taken
   * @when Set it when values come from outside.
   */
  readonly schema?: StandardSchema<V> | undefined
  /**
   * How long values live from their put on, in milliseconds.
   * @default for ever
   * @unit milliseconds
   * @when Set it for sessions and caches.
   */
  readonly ttlMs?: number | undefined
  /**
   * Indexes of the table, by their names: a function that returns the key by which an index has a value, or `undefined` for
   * none. An index that the data does not have yet is built; one that the data has and that is left out is dropped by the next
   * commit to the table, from whatever handle. Whoever changes what a function returns raises `version`, too. A
   * function is known by its text: another one with the same text, which closes over other values, counts as the same.
   * @default those that the table was last asked for with; none
   * @when Set it to read rows in another order than that of their keys, or to keep what has to be unique.
   */
  readonly indexes?: { readonly [name: string]: IndexOptions<V> } | undefined
  /**
   * The version of the values, a whole number from 1 on. Those of an earlier one are passed through `upgrade` when they are read,
   * and are stored so when they are next written. A program that knows only earlier ones is refused with `UNSUPPORTED_FORMAT` once
   * a value of this one is written.
   * @default 1
   * @unit version of the values
   * @when Raise it when the form of the values changes, or what an index's function returns.
   */
  readonly version?: number | undefined
  /**
   * Makes a value of this version of one of an earlier version, `from`. It is called whenever such a value is read, and has to
   * return the same each time.
   * @default none; from version 2 on it is needed
   * @when Set it with `version`, and keep it for as long as values of earlier versions are stored.
   */
  readonly upgrade?: ((value: never, from: number) => V) | undefined
}

/** An index: the function that gives its key, or that with more. */
export type IndexOptions<V = unknown> =
  | ((value: V) => Key | undefined)
  | {
      /**
       * The key by which the index has the value: any key, `undefined` for none; with `many` an array of them.
       * @when Give a function of the value alone: an index is built anew from the values.
       */
      readonly key: (value: V) => Key | undefined | readonly (Key | undefined)[]
      /**
       * The function returns an array of keys, and the index has the value by each of them.
       * @default false
       * @when Set it for tags and the like.
       */
      readonly many?: boolean | undefined
      /**
       * No two rows may have the same key: the later one is refused with `INVALID_ARGUMENT`.
       * @default false
       * @when Set it for what identifies a row beside its key, such as an address.
       */
      readonly unique?: boolean | undefined
    }

/** An index with all its options settled. */
export interface IndexDefinition {
  readonly key: (value: never) => unknown
  readonly many: boolean
  readonly unique: boolean
}

export type AnyIndexes = { readonly [name: string]: IndexOptions<never> }
export type Indexes = ReadonlyMap<string, IndexDefinition>

export type AnyCodec = { readonly id: string; encode(value: never): Uint8Array; decode(bytes: Uint8Array): unknown }

/** The options of a table whatever its values are. */
export interface AnyTableOptions {
  readonly codec?: AnyCodec | undefined
  readonly schema?: StandardSchema<unknown> | undefined
  readonly ttlMs?: number | undefined
  readonly indexes?: AnyIndexes | undefined
  readonly version?: number | undefined
  readonly upgrade?: ((value: never, from: number) => unknown) | undefined
}

export function definitionOf(index: IndexOptions<never>): IndexDefinition {
  const {
    key,
    many = false,
    unique = false,
  } = typeof index === 'function' ? { key: index } : (Object(index) as Exclude<typeof index, Function>)
  return { key, many, unique }
}

/** Options of `put`. */
export interface PutOptions {
  /**
   * How long the value lives from now on, in milliseconds.
   * @default the `ttlMs` of the table
   * @unit milliseconds
   * @when Set it for a value that ends earlier or later than the others of its table.
   */
  readonly ttlMs?: number | undefined
}

/** A change of a `batch`: a value to put, or a key to delete. */
export type BatchChange<K, V> =
  | {
      readonly type: 'put'
      readonly key: K
      readonly value: V
      /**
       * How long the value lives from now on, in milliseconds.
       * @default the `ttlMs` of the table
       */
      readonly ttlMs?: number | undefined
    }
  | { readonly type: 'del'; readonly key: K }
