import type { Counters } from '../engine/context.js'
import type { SegmentCache } from '../segment/cache.js'
import type { ShardState } from '../engine/state.js'
import type { Requests } from '../storage/intercept.js'

/** Totals since the store was opened. */
export interface Metrics {
  /** Entries with commits; commits that share an entry count once. */
  readonly commits: number
  /** Bytes of the entries written. */
  readonly bytes: number
  /** Requests sent to the storage, by kind. */
  readonly requests: Requests
  /** Segments: `written` and `reused` add up over all manifests; `live` is what the newest one lists. */
  readonly segments: { readonly written: number; readonly reused: number; readonly live: number }
  /** How often the tail of the log was folded into segments. */
  readonly folds: number
  /** How often segments were merged. */
  readonly compactions: number
  /** Entries, segments and pins that collections have deleted. */
  readonly collected: number
  /** Damages that were found and worked around. */
  readonly repaired: number
  /** Entries that no manifest covers yet. */
  readonly tail: number
  /** How often a part of a segment was found in memory, and how often it was not. */
  readonly cache: { readonly hits: number; readonly misses: number }
  /** How long the last 512 commits took, in milliseconds; 0 before the first. */
  readonly latencyMs: { readonly commit: { readonly p50: number; readonly p99: number } }
}

const SAMPLES = 512

/** Durations of the newest commits. */
export class Latencies {
  readonly #samples: number[] = []
  #next = 0

  add(ms: number): void {
    this.#samples[this.#next] = ms
    this.#next = (this.#next + 1) % SAMPLES
  }

  quantile(q: number): number {
    const sorted = [...this.#samples].sort((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
  }
}

export function newCounters(): Counters {
  return {
    commits: 0,
    bytes: 0,
    folds: 0,
    compactions: 0,
    segmentsWritten: 0,
    segmentsReused: 0,
    collected: 0,
    repaired: 0,
  }
}

export function collectMetrics(
  counters: Counters,
  state: ShardState,
  requests: Requests,
  cache: SegmentCache,
  latencies: Latencies,
): Metrics {
  const { segmentsWritten: written, segmentsReused: reused, ...totals } = counters
  return {
    ...totals,
    requests,
    segments: { written, reused, live: state.manifest.runs.flat().length },
    tail: state.tail.length,
    cache: { hits: cache.hits, misses: cache.misses },
    latencyMs: { commit: { p50: latencies.quantile(0.5), p99: latencies.quantile(0.99) } },
  }
}
