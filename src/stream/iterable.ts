/** A source over an array or another iterable that gives the same values from its start each time. */
import { refusePromise } from '../callback.js'
import { invalid } from '../errors.js'
import type { Key } from '../bytes/keys.js'
import { keyFunction, type KeyOf, type Source, type SourceEvent } from './source.js'

/** Options of `fromIterable`. */
export interface IterableOptions<V> {
  /**
   * The key of an event: a field of its value, or a function of that.
   * @default none: events have no key
   * @when Set it when the state is kept by key.
   */
  readonly key?: KeyOf<V> | undefined
  /**
   * The source's partition of a value, from 0 on.
   * @default all values are in one partition
   * @when Set it to test a job of several partitions.
   */
  readonly partition?: ((value: V, index: number) => number) | undefined
  /**
   * How many partitions the source has.
   * @default as many as the store with `partition`, one without it
   * @unit partitions
   * @when Set it when the source has another number of partitions than the store.
   */
  readonly partitions?: number | undefined
}

/**
 * A source of the values of `iterable`, under the name `name`. The offset of a value is its index, counted over all
 * partitions.
 *
 * A later run skips the values that were committed. So the iterable has to give the same values again, in the same order;
 * it may give more. Arrays do that, and objects with `[Symbol.iterator]` or `[Symbol.asyncIterator]`. With several
 * partitions each one iterates on its own and picks its values; an iterator, which can be used once only, is then refused.
 *
 * @throws `INVALID_ARGUMENT` for a wrong option, and while it is read for a partition that does not exist
 * @example
 *     fromIterable('orders', orders, { key: 'id' })
 */
export function fromIterable<V, K extends Key | undefined = Key>(
  name: string,
  iterable: Iterable<V> | AsyncIterable<V>,
  options: IterableOptions<V> & { readonly key: (value: V) => K },
): Source<V, K>
export function fromIterable<V, F extends keyof V & string = keyof V & string>(
  name: string,
  iterable: Iterable<V> | AsyncIterable<V>,
  options: IterableOptions<V> & { readonly key: F },
): Source<V, V[F]>
export function fromIterable<V>(
  name: string,
  iterable: Iterable<V> | AsyncIterable<V>,
  options?: IterableOptions<V>,
): Source<V>
export function fromIterable<V>(
  name: string,
  iterable: Iterable<V> | AsyncIterable<V>,
  options: IterableOptions<V> = {},
): Source<V> {
  const { partition } = options
  const partitions = options.partitions ?? (partition === undefined ? 1 : undefined)
  const keyOf = keyFunction(options.key)
  if (partition !== undefined && typeof partition !== 'function') throw invalid('partition: a function is expected.')
  if (partition === undefined && partitions !== 1) {
    throw invalid('partitions: give a function `partition`, too, which says where a value belongs.')
  }
  const isAsync = typeof (iterable as AsyncIterable<V> | undefined)?.[Symbol.asyncIterator] === 'function'
  if (!isAsync && typeof (iterable as Iterable<V> | undefined)?.[Symbol.iterator] !== 'function') {
    throw invalid(`fromIterable: an iterable is expected for source "${name}".`)
  }

  return {
    name,
    partitions,
    read(number, from, context) {
      if (context.partitions > 1 && typeof (iterable as Partial<Iterator<V>>).next === 'function') {
        throw invalid(
          `Source "${name}": an iterator can be read once, and ${context.partitions} partitions need one reading each; give an array.`,
        )
      }
      if (from !== undefined && typeof from === 'string') {
        throw invalid(`Source "${name}" has numbers as offsets, but the store holds the position "${from}".`)
      }
      const start = from === undefined ? 0 : Number(from)
      const toEvent = (value: V, index: number): SourceEvent<V> | undefined => {
        if (index < start) return undefined
        if (partition !== undefined) {
          const own = partition(value, index)
          refusePromise('partition: the function', own)
          if (!Number.isInteger(own) || own < 0 || own >= context.partitions) {
            throw invalid(
              `Source "${name}": partition() gave ${String(own)} for value ${index}; a whole number from 0 to ${context.partitions - 1} is expected.`,
            )
          }
          if (own !== number) return undefined
        }
        return { offset: index, key: keyOf?.(value), value }
      }
      return isAsync
        ? eventsOfAsync(iterable as AsyncIterable<V>, toEvent)
        : eventsOf(iterable as Iterable<V>, start, toEvent)
    },
  }
}

/** Makes the event of a value; `undefined` when the value belongs to another partition or was read before. */
type ToEvent<V> = (value: V, index: number) => SourceEvent<V> | undefined

function* eventsOf<V>(values: Iterable<V>, start: number, toEvent: ToEvent<V>): Generator<SourceEvent<V>> {
  if (Array.isArray(values)) {
    // Values that were read before are stepped over by index. The array may grow meanwhile.
    for (let i = start; i < values.length; i++) {
      const event = toEvent((values as readonly V[])[i]!, i)
      if (event !== undefined) yield event
    }
    return
  }
  let index = 0
  for (const value of values) {
    const event = toEvent(value, index++)
    if (event !== undefined) yield event
  }
}

async function* eventsOfAsync<V>(values: AsyncIterable<V>, toEvent: ToEvent<V>): AsyncGenerator<SourceEvent<V>> {
  let index = 0
  for await (const value of values) {
    const event = toEvent(value, index++)
    if (event !== undefined) yield event
  }
}
