/** What a source is: partitions of events, each in an order of its own, that can be read again from a position. */
import type { Key } from '../bytes/keys.js'
import { refusePromise } from '../callback.js'
import { invalid } from '../errors.js'
import type { Position } from '../log/offsets.js'

export interface SourceEvent<V = unknown, E = Key | undefined> {
  /** Where the event stands in its partition. Events below the position to read from next are skipped. */
  readonly offset: Position
  /** Where to read on after it. Default: `offset` + 1; a string offset has no default. */
  readonly next?: Position | undefined
  /** Decides the partition of the store where the source's own does not. */
  readonly key?: E
  readonly value: V
  /**
   * What lies before `next`, in a few characters; called when `next` is committed, and kept with it. The next reading from
   * there is given it, so that the source can tell whether it is still the same.
   */
  readonly fingerprint?: (() => string) | undefined
}

export interface ReadOptions {
  /** Aborts when the run ends for any reason: a source that waits for input should end then. */
  readonly signal: AbortSignal
  /** How many partitions are read in all: the source's own number, else the store's. */
  readonly partitions: number
  /** What `fingerprint()` of the event before `from` said. */
  readonly fingerprint?: string | undefined
}

/** As handlers get it: with the key that the source gives its events. */
export type HandledEvent<V = unknown, E = Key | undefined> = SourceEvent<V, E> & { readonly key: E }

/** `E` is the type of its keys. */
export interface Source<V = unknown, E = Key | undefined> {
  /** The name under which its offsets are committed: the same in each run. */
  readonly name: string
  /** Default: as many as the store has. */
  readonly partitions?: number | undefined
  /** The events of a partition in order, from the position `from` on (inclusive; undefined: from the start). */
  read(
    partition: number,
    from: Position | undefined,
    options: ReadOptions,
  ): AsyncIterable<SourceEvent<V, E>> | Iterable<SourceEvent<V, E>>
}

export function checkSource(source: Source): void {
  if (typeof source !== 'object' || source === null || typeof source.name !== 'string' || source.name === '') {
    throw invalid('source: an object { name, partitions, read } is expected, its name a string that is not empty.')
  }
  if (typeof source.read !== 'function') throw invalid(`Source "${source.name}" has no function read().`)
}

/** The key of a value: one of its fields, or what a function makes of it. */
export type KeyOf<V> = string | ((value: V) => Key | undefined)

/** `undefined` when no key was asked for. */
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
