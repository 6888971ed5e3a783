/** A log in memory, a clock, and counters: the things that the engine's parts get which work on a log, without a store. */
import { memory } from 'tidemark/memory'
import * as pure from '../../src/bytes/pure.js'
import { Uploads, type LogContext, type ShardContext } from '../../src/engine/context.js'
import { buildEntry, type BuiltEntry, type EntryChange } from '../../src/engine/entry-builder.js'
import { applyEntry, emptyState, type ShardState } from '../../src/engine/state.js'
import type { AnchorValue } from '../../src/log/anchor.js'
import { encodeAnchor } from '../../src/log/raise.js'
import { decodeEntry, type Entry } from '../../src/log/entry.js'
import { SegmentCache } from '../../src/segment/cache.js'
import type { AppendOptions, Capabilities, Log, Outcome } from '../../src/storage/contract.js'
import { LOG_ID, LOG_PATH } from './parts.js'
import { PatientClock } from './patient-clock.js'
import { newCounters } from '../../src/store/metrics.js'

export class LogWorld {
  readonly clock = new PatientClock()
  readonly ctx: ShardContext
  readonly log: LogContext
  /** Decides the next appends: an answer, an error, or a wait. Without one the log answers. */
  readonly next: (Outcome | Error | Promise<void>)[] = []
  /** All that was sent: by which call, and with which options. */
  readonly sent: { readonly by: 'append' | 'claim'; readonly n: number; readonly options: AppendOptions }[] = []
  readonly warnings: string[] = []
  #raw: Log

  constructor(change: Partial<ShardContext> = {}, trim: Capabilities['trim'] = 'create') {
    const whole = memory({ clock: this.clock })
    const storage = { ...whole, capabilities: { ...whole.capabilities, trim, platform: pure } }
    this.#raw = storage.log(LOG_PATH)
    this.ctx = {
      store: 's',
      isShared: false,
      storage,
      probed: storage,
      clock: this.clock,
      rowBytes: 0,
      cache: new SegmentCache(storage, 1 << 20),
      segments: { segmentBytes: 1 << 20, blockBytes: 1 << 14, bloomBits: 10, deflateLevel: 0 },
      checkpoint: { entries: 1_000, bytes: 1_000, large: 1_000 },
      durability: 'strict',
      timeoutMs: 5_000,
      graceMs: 60_000,
      counters: newCounters(),
      uploads: new Uploads(undefined),
      held: new Set(),
      retain: { versions: 1, ageMs: 0, hourly: 0, daily: 0 },
      warn: (message) => void this.warnings.push(message),
      moved: () => undefined,
      committed: () => undefined,
      emit: () => undefined,
      ...change,
    }
    this.log = {
      logId: LOG_ID,
      path: LOG_PATH,
      platform: pure,
      deflates: false,
      log: { ...bound(this.#raw), append: this.#send('append'), claim: this.#send('claim') },
      anchor: storage.anchor('s/0/anchor'),
      writerId: new Uint8Array(16).fill(2),
      writes: 0,
      storageTime: undefined,
      free: undefined,
    }
  }

  #send(by: 'append' | 'claim'): Log['append'] {
    return async (n, bytes, from, options = {}) => {
      this.sent.push({ by, n, options })
      const next = this.next.shift()
      if (next instanceof Error) throw next
      return (await next) ?? this.#raw[by](n, bytes, from, options)
    }
  }

  /** The same log, seen by another writer. */
  get rival(): LogContext {
    return { ...this.log, writerId: new Uint8Array(16).fill(3), writes: 0 }
  }

  /** Appends entries, by the log's own writer or a rival, and gives the state after them. */
  async append(state: ShardState, changes: readonly Partial<EntryChange>[], by = this.log): Promise<ShardState> {
    for (const change of changes) {
      const built: BuiltEntry = await buildEntry(by, state, { kind: 'commit', time: this.clock.time, ...change })
      await this.#raw.append(built.entry.n, built.bytes, 1)
      state = applyEntry(state, built)
    }
    return state
  }

  /** The state after a first entry, which has the manifest of an empty store. */
  begin(partitions = 1): Promise<ShardState> {
    const empty = emptyState(LOG_ID, 0, { partitions, job: undefined, created: 0 })
    const origin = { log: LOG_PATH, version: 0, partitions: [] }
    return this.append(empty, [{ kind: 'reset', reset: { manifest: empty.manifest, origin } }])
  }

  async setAnchor(value: Partial<AnchorValue> = {}): Promise<void> {
    const { token } = await this.log.anchor.read()
    const whole = { logId: LOG_ID, trim: 0, manifestAt: 1, covers: 0, time: 0, ...value }
    await this.log.anchor.swap(token, encodeAnchor(whole), whole.trim)
  }

  /** The entries that are there, from `from` on. */
  async entries(from = 1): Promise<Entry[]> {
    const { numbers } = await this.#raw.list(from)
    return Promise.all(numbers.map(async (n) => decodeEntry((await this.#raw.read(n)).bytes!, n, LOG_ID)))
  }
}

function bound(log: Log): Log {
  return {
    append: (...given) => log.append(...given),
    claim: (...given) => log.claim(...given),
    read: (...given) => log.read(...given),
    readTail: (...given) => log.readTail!(...given),
    list: (...given) => log.list(...given),
    sync: (...given) => log.sync(...given),
    remove: (...given) => log.remove(...given),
    destroy: (...given) => log.destroy(...given),
    close: () => log.close(),
  }
}
