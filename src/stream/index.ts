/** Streams into state: `consume`, and sources and sinks for it. */
export { consume } from './consume.js'
export type { ConsumeOptions, ConsumeResult, Handler, Progress } from './options.js'
export { fromIterable } from './iterable.js'
export type { IterableOptions } from './iterable.js'
export type { Output, Sink } from './outbox.js'
export type { HandledEvent, KeyOf, ReadOptions, Source, SourceEvent } from './source.js'
