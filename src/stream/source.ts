/** Sources: partitions of events, each in an order of its own, that can be read again from a position. */
import type { Key } from '../bytes/keys.js'
import { refusePromise } from '../callback.js'
import { invalid } from '../errors.js'
import type { Position } from '../log/offsets.js'
import { whole } from '../store/options.js'

/** An event of a source. */
export interface SourceEvent<V = unknown, E = Key | undefined> {
  /** The event's place in its partition. Events below the position that is to be read next are skipped. */
  readonly offset: Position
  /**
   * The position to read on from after it.
   * @default `offset` + 1; needed when the offset is a string
   */
  readonly next?: Position | undefined
  /**
   * Decides the partition of the store, unless the source has as many partitions as the store.
   * @default none: the event goes to partition 0
   */
  readonly key?: E
  /** The event itself, as the handler gets it. */
  readonly value: V
  /**
   * Makes a few characters that tell what lies before `next`. It is called when `next` is committed, and its result is kept
   * with that. Whoever reads on from there is given it, so that the source can tell whether it is still the same.
   * @default none: the source is not compared
   */
  readonly fingerprint?: (() => string) | undefined
}

/** The circumstances in which a source is read. */
export interface ReadOptions {
  /** Aborts when the run ends, for any reason. A source that waits for input should end then. */
  readonly signal: AbortSignal
  /** How many partitions are read in all: the source's own number, else the store's. */
  readonly partitions: number
  /**
   * The fingerprint that the event before `from` gave.
   * @default none: that event gave none
   */
  readonly fingerprint?: string | undefined
}

/** An event as handlers get it, with the key that the source gives its events. */
export type HandledEvent<V = unknown, E = Key | undefined> = SourceEvent<V, E> & {
  /** The key of the event; `undefined` when the source gives none. */
  readonly key: E
}

/** A source of events. `E` is the type of their keys. */
export interface Source<V = unknown, E = Key | undefined> {
  /** The name under which its offsets are committed. It has to be the same in each run. */
  readonly name: string
  /**
   * How many partitions it has.
   * @default as many as the store
   */
  readonly partitions?: number | undefined
  /** The events of a partition, in order, from the position `from` on, itself included; from the start when it is undefined. */
  read(
    partition: number,
    from: Position | undefined,
    options: ReadOptions,
  ): AsyncIterable<SourceEvent<V, E>> | Iterable<SourceEvent<V, E>>
}

const MAX_PARTITIONS = 999_999_999

export function checkSource(source: Source): void {
  if (typeof source !== 'object' || source === null || typeof source.name !== 'string' || source.name === '') {
    throw invalid('source: an object { name, partitions, read } is expected, its name a string that is not empty.')
  }
  if (typeof source.read !== 'function') throw invalid(`Source "${source.name}" has no function read().`)
  whole('source.partitions', source.partitions, 1, 1, MAX_PARTITIONS)
}

/** The key of a value: the name of one of its fields, or a function that makes it. */
export type KeyOf<V> = string | ((value: V) => Key | undefined)

/** The function that gives the key of a value; `undefined` when events have no key. */
export function keyFunction<V>(key: KeyOf<V> | undefined): ((value: V) => Key | undefined) | undefined {
  if (key === undefined) return undefined
  if (typeof key === 'function') {
    return (value) => {
      const made = key(value)
      refusePromise('key: the function', made)
      return made
    }
  }
  if (typeof key !== 'string') throw invalid('key: the name of a field or a function is expected.')
  return (value) => (value as Readonly<Record<string, Key | undefined>> | null | undefined)?.[key]
}
