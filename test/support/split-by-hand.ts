/** A store that is split and merged step by step, with nothing but entries and anchors, so that a test decides what is there when. */
import type { Storage, Store as Opened } from 'tidemark'
import { toHex } from '../../src/bytes/hex.js'
import type { Clock } from '../../src/clock.js'
import { closeLog, openAnchor, openLog, type ShardContext } from '../../src/engine/context.js'
import { buildEntry, type EntryChange } from '../../src/engine/entry-builder.js'
import { findStore, readHistory } from '../../src/engine/open/recovery.js'
import type { CollectOptions } from '../../src/engine/gc/collector.js'
import type { FindSuccessors } from '../../src/engine/shards/needs.js'
import { sideBySide } from '../../src/engine/shards/side-by-side.js'
import type * as Undertaking from '../../src/engine/shards/undertaker.js'
import { emptyState, type ShardState } from '../../src/engine/state.js'
import { sendEntry } from '../../src/engine/write/send.js'
import { anchorAfter, encodeAnchor } from '../../src/log/raise.js'
import type { Child, Seal } from '../../src/log/shard-parts.js'
import { loadParts } from '../../src/part.js'
import { shardContext } from '../../src/store/context.js'
import { StoreHandle } from '../../src/store/handle.js'
import { resolveOptions } from '../../src/store/open-options.js'
import { Store } from '../../src/store/store.js'

export const GRACE = 1_000
/** So many partitions; keys of these first letters lie in them. */
const PARTITIONS = 4

/** A log with its partitions. */
export interface Part extends Child {
  readonly folder: string | undefined
}

export interface Plan {
  readonly seal: Seal
  readonly parents: readonly { readonly part: Part; readonly state: ShardState }[]
  readonly children: readonly Part[]
  readonly first: number
}

const ALL: CollectOptions = { minDeletes: 1, maxDeletes: Infinity, inTime: () => true, dryRun: false }

export class SplitByHand {
  readonly storage: Storage
  readonly clock: Clock
  readonly name: string
  readonly retain: { versions: number; ageMs?: number; hourly?: number; daily?: number }
  readonly #plans = new Map<string, Plan>()
  #ids = 0
  /** Children are there. */
  readonly born = new Set<string>()

  constructor(storage: Storage, clock: Clock, retain: SplitByHand['retain'] = { versions: 1 }, name = 's') {
    this.storage = storage
    this.clock = clock
    this.retain = retain
    this.name = name
  }

  #options(
    part?: Part,
    more: object = {},
    storage = this.storage,
  ): ReturnType<typeof resolveOptions> & { folder: string | undefined } {
    const { name, clock, retain } = this
    const options = resolveOptions({
      storage,
      name,
      clock,
      retain,
      partitions: PARTITIONS,
      mode: 'exclusive',
      graceMs: GRACE,
      logger: false,
      checkpoint: { entries: 100, bytes: 100_000 },
      ...more,
    } as Parameters<typeof resolveOptions>[0])
    return { ...options, folder: part?.folder }
  }

  context(part?: Part, more: object = {}, storage = this.storage): ShardContext {
    const nothing = (): void => undefined
    const events = { warn: nothing, moved: nothing, committed: nothing, emit: nothing }
    return shardContext(this.#options(part, more, storage), storage, events)
  }

  async open(part?: Part, more: object = {}): Promise<Opened<string, number>> {
    const options = this.#options(part, more)
    const handle = await StoreHandle.open(options)
    return new Store<string, number>(handle, handle.spec('', options.table))
  }

  /** The log with which the store began. */
  async root(): Promise<Part> {
    const { value } = await findStore(this.context(), openAnchor(this.context()))
    return { logId: value!.logId, first: 0, last: PARTITIONS - 1, folder: undefined }
  }

  id(): Uint8Array {
    const id = new Uint8Array(16).fill(0xaa)
    new DataView(id.buffer).setUint32(0, ++this.#ids)
    return id
  }

  /** The newest state of a log. */
  async state(part: Part): Promise<ShardState> {
    const ctx = this.context(part)
    const anchor = openAnchor(ctx)
    const log = openLog(ctx, anchor, part.logId)
    const state = await readHistory(ctx, log, (await findStore(ctx, anchor)).value!, false)
    await closeLog(ctx, log)
    return state!
  }

  async append(part: Part, state: ShardState, change: Partial<EntryChange>): Promise<ShardState> {
    const ctx = this.context(part)
    const log = openLog(ctx, openAnchor(ctx), part.logId)
    const entry = await buildEntry(log, state, { kind: 'fence', time: this.clock.now(), ...change })
    const { outcome } = await sendEntry(ctx, log, state.manifest.covers, entry)
    if (outcome !== 'committed') throw new Error(`the entry was ${outcome}`)
    await closeLog(ctx, log)
    return this.state(part)
  }

  /** Seals these parts by one plan, whose children begin at the cuts. */
  async seal(parents: readonly Part[], cuts: readonly number[]): Promise<Plan> {
    const [begin, last] = [parents[0]!.first, parents.at(-1)!.last]
    const starts = [begin, ...cuts]
    const children = starts.map((first, i): Part => {
      const logId = this.id()
      return { logId, folder: toHex(logId), first, last: (starts[i + 1] ?? last + 1) - 1 }
    })
    const plan = { plan: this.id(), parents: parents.map(({ logId }) => logId), children, graceMs: GRACE }
    const sealed: { part: Part; state: ShardState }[] = []
    for (const part of parents) {
      const seal = { ...plan, fallback: this.id() }
      sealed.push({ part, state: await this.append(part, await this.state(part), { seal }) })
    }
    const first = 1 + Math.max(...sealed.map(({ state }) => state.head))
    const made: Plan = { seal: sealed[0]!.state.seal!, parents: sealed, children, first }
    this.#plans.set(toHex(plan.plan), made)
    return made
  }

  /** Makes a child that a plan names. */
  async create({ parents, first }: Plan, child: Part): Promise<void> {
    const ctx = this.context(child)
    const log = openLog(ctx, openAnchor(ctx), child.logId)
    const beside = parents.map(({ part, state }) => ({ range: [part.first, part.last] as const, state }))
    const { manifest, memtable } = sideBySide(beside, [child.first, child.last])
    const own = {
      first: child.first,
      last: child.last,
      parents: parents.map(({ part, state }) => ({ logId: part.logId, n: state.head })),
    }
    const nothing = emptyState(child.logId, first - 1, manifest.config)
    const empty = { ...nothing, carried: { ...nothing.carried, trim: first - 1, covers: first - 1 } }
    const time = Math.max(...parents.map(({ state }) => state.carried.time), this.clock.now())
    const { offsets } = parents[0]!.state.carried
    const entry = await buildEntry(log, empty, { kind: 'reset', time, memtable, offsets, reset: { manifest }, own })
    await sendEntry(ctx, log, first - 1, entry)
    const value = anchorAfter(child.logId, entry.entry.carried!)
    await openAnchor(ctx).swap(undefined, encodeAnchor(value), value.trim)
    await closeLog(ctx, log)
    this.born.add(toHex(child.logId))
  }

  /** Seals, and makes all children. */
  async split(parents: readonly Part[], cuts: readonly number[]): Promise<readonly Part[]> {
    const plan = await this.seal(parents, cuts)
    for (const child of plan.children) await this.create(plan, child)
    return plan.children
  }

  readonly successors: FindSuccessors = async ({ seal }) => {
    const plan = this.#plans.get(toHex(seal.plan))!
    const { first, children } = plan
    return children.every(({ logId }) => this.born.has(toHex(logId))) ? { first, children } : undefined
  }

  /** Collects a sealed log, as far as that can be done now. */
  async undertake(
    { Undertaker }: Pick<typeof Undertaking, 'Undertaker'>,
    part: Part,
    {
      storage = this.storage,
      mine,
      ...more
    }: Partial<CollectOptions> & { storage?: Storage; mine?: ReadonlySet<string> } = {},
  ): Promise<Undertaking.Undertaken> {
    await loadParts()
    const ctx = this.context(part, {}, storage)
    const log = openLog(ctx, openAnchor(ctx), part.logId)
    try {
      return await new Undertaker(ctx, log, part, this.successors, new AbortController().signal).run(
        { ...ALL, ...more },
        mine,
      )
    } finally {
      await closeLog(ctx, log)
    }
  }
}
