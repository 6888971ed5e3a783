import type { Counters } from '../engine/context.js'
import type { SegmentCache } from '../segment/cache.js'
import type { ShardState } from '../engine/state.js'
import type { Requests } from '../storage/intercept.js'

/** Totals since the store was opened. */
export interface Metrics {
  readonly commits: number
  /** Bytes of the entries written. */
  readonly bytes: number
  readonly requests: Requests
  /** `written` and `reused` add up over all manifests; `live` is what the newest one lists. */
  readonly segments: { readonly written: number; readonly reused: number; readonly live: number }
  readonly folds: number
  readonly compactions: number
  readonly collected: number
  readonly repaired: number
  /** Entries that no manifest covers yet. */
  readonly tail: number
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
