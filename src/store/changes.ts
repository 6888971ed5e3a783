/** The changes of a program: buffered, on their way, and given back when they did not come about. */
import { writeJson } from '../bytes/json.js'
import { isWellFormed } from '../bytes/utf8.js'
import { invalid, isTidemarkError, reasonOf } from '../errors.js'
import { NO_OFFSETS, parseOffsets, type OffsetMap, type Offsets } from '../log/offsets.js'
import type { CommitKind, CommitRequest, CommitResult } from '../engine/write/requests.js'
import type { MapKey } from '../bytes/keys.js'
import { Memtable } from '../engine/memtable.js'
import type { Point } from '../engine/point.js'
import type { Slot } from '../engine/slot.js'
import type { AppliedEntry, ShardState } from '../engine/state.js'
import type { Shard } from '../engine/shard.js'
import { Latencies } from './metrics.js'
import { boolean, checker, optional, type Check } from './options.js'
import type { ReadSet } from './read-set.js'
import { encodeMemtable, type Specs } from './specs.js'

/** Options of `commit`. */
export interface CommitOptions {
  /**
   * Where each source is to be read from next: `{ [source]: next }` or `{ [source]: { [partition]: next } }`. They are
   * committed in the same entry as the changes, and merged over those that are there.
   * @default the offsets stay as they are
   * @when Set it when you read a source by yourself; `consume()` does it for you.
   */
  readonly offsets?: Offsets | undefined
  /**
   * A name for the version, of at most 65,536 characters; `versions()` shows it.
   * @default none
   * @when Set it to find the version again by eye.
   */
  readonly label?: string | undefined
  /**
   * Anything that JSON keeps; `versions()` shows it.
   * @default none
   * @when Set it to find the version again by program, or to say who made it.
   */
  readonly meta?: unknown
  /**
   * Lets offsets go back.
   * @default false
   * @when Set it to read events again on purpose.
   */
  readonly force?: boolean | undefined
}

export type CommitNotes = Pick<CommitRequest, 'offsets' | 'moved' | 'force' | 'label' | 'meta' | 'turn'>

const MAX_LABEL = 65_536
const NO_NOTES: CommitNotes = { offsets: NO_OFFSETS, force: false, label: undefined, meta: undefined }

const offsets: Check<OffsetMap> = (_, given) => (given === undefined ? NO_OFFSETS : parseOffsets(given as Offsets))

const label: Check<string> = (_, given) => {
  if (typeof given === 'string' && isWellFormed(given) && given.length <= MAX_LABEL) return given
  throw invalid(`label: a string of at most ${MAX_LABEL} characters is expected.`)
}

const meta: Check<string> = (_, given) => {
  try {
    const text = JSON.stringify(given)
    // This refuses a value that is nothing in JSON, or nested deeper than values may be.
    writeJson(JSON.parse(text))
    return text
  } catch (cause) {
    throw invalid(`meta: it cannot be written as JSON: ${reasonOf(cause)}`, cause)
  }
}

/** The options that say something of a version. */
export const NOTES = { offsets, label: optional(label), meta: optional(meta) }
export const parseCommit: (options: CommitOptions) => CommitNotes = checker('commit', {
  ...NOTES,
  force: boolean(false),
})

/** The handle whose changes they are. */
interface ChangesHost {
  readonly options: { readonly name: string }
  readonly state: ShardState
  readonly shard: Pick<Shard, 'writer'>
  readonly specs: Pick<Specs, 'of' | 'recheck'>
  readonly readSet: ReadSet | undefined
  monotonic(): number
  report(message: string): void
}

export class Changes {
  readonly #handle: ChangesHost
  readonly latencies = new Latencies()
  #buffer = new Memtable()
  #revision = 0
  /** How often others have written. */
  #others = 0
  #fallenOffsets = 0
  #newest = Promise.resolve(true)

  #restoring: Promise<unknown> | undefined

  constructor(handle: ChangesHost) {
    this.#handle = handle
  }

  /** The memtable that takes changes. */
  get buffer(): Memtable {
    return this.#buffer
  }

  /** Another number whenever what was committed or on its way has become something else. */
  get revision(): number {
    return this.#revision
  }

  /** Whether the newest commit came about, and with it all before. It settles when none of them is on its way any more. */
  get newest(): Promise<boolean> {
    return this.#newest
  }

  /** Something else is committed or on its way now. */
  changed(): void {
    this.#revision++
  }

  /** The store was opened again, and others may have written in between. */
  reopened(): void {
    this.#others++
    this.changed()
  }

  /** Others have written versions. */
  met(before: ShardState, entries: readonly AppliedEntry[] | undefined): void {
    this.#others++
    this.changed()
    const { readSet, specs, state } = this.#handle
    readSet!.met(before, state, entries)
    specs.recheck(state)
  }

  get others(): number {
    return this.#others
  }

  get state(): ShardState {
    return this.#handle.state
  }

  /** How often offsets that were on their way did not come about. */
  get fallenOffsets(): number {
    return this.#fallenOffsets
  }

  /** Settles when what is read now is no longer about to be put away by a restore; `undefined` when it is not. */
  get restoring(): Promise<unknown> | undefined {
    return this.#restoring
  }

  /** A restore is on its way. */
  restores(restoring: Promise<unknown>): void {
    this.changed()
    const settled = Promise.allSettled([restoring]).then(() => {
      if (this.#restoring === settled) this.#restoring = undefined
    })
    this.#restoring = settled
  }

  assertNone(what: string): void {
    if (this.#buffer.empty) return
    const { name } = this.#handle.options
    throw invalid(`${what}: store "${name}" has uncommitted changes; commit() or discard() them first.`)
  }

  commitBuffer(notes: CommitNotes): Promise<CommitResult> {
    const committing = this.commit(this.#buffer, notes, 'buffer')
    this.#buffer = new Memtable()
    return committing
  }

  /** As `commit` of changes of their own; the buffer shows them, too. */
  commitOwn(memtable: Memtable): Promise<CommitResult> {
    const committing = this.commit(memtable, NO_NOTES, 'own')
    if (this.#buffer.empty) return committing
    // Of a key that the buffer changes this is the later change.
    const laid: [slot: Slot, codec: string, key: MapKey, point: Point, before: Point][] = []
    for (const { slot, codec, points } of memtable.slots.values()) {
      for (const [key, point] of points) {
        const before = this.#buffer.find(slot, key)
        if (before) laid.push([slot, codec, key, point, before])
      }
    }
    const later = new Memtable()
    for (const [slot, codec, key, point] of laid) later.set(slot, codec, key, point)
    // A put that follows makes a point of its own.
    this.#buffer.absorb(later)
    committing.catch(() => {
      for (const [slot, codec, key, point, before] of laid) {
        if (this.#buffer.find(slot, key) === point) this.#buffer.set(slot, codec, key, before)
      }
    })
    return committing
  }

  /**
   * Throws in this very turn and takes nothing, or takes the memtable. What surely did not happen of the buffer goes back
   * into it. Others that came first are in the way of a transaction and of offsets always (R19), of the buffer where they
   * have changed what it changes and the program had read, of changes of their own never.
   */
  commit(memtable: Memtable, notes: CommitNotes, kind: CommitKind): Promise<CommitResult> {
    const handle = this.#handle
    encodeMemtable(memtable, (table) => handle.specs.of(table))
    const started = handle.monotonic()
    const withOffsets = notes.offsets.size > 0
    const asked: { objection?: CommitRequest['objection'] | undefined } = {}
    const objection: CommitRequest['objection'] = (isLate) => asked.objection?.(isLate)
    const committing = handle.shard.writer.commit({ memtable, ...notes, objection, kind })
    // It is not asked before the next turn.
    asked.objection = handle.readSet?.objection(this, memtable, kind, withOffsets, committing)
    if (!memtable.empty || withOffsets) this.#revision++
    const before = this.#newest
    // One that fails may leave others in front of it on their way.
    this.#newest = committing.then(
      () => true,
      () => before.then(() => false),
    )
    return committing.then(
      (result) => {
        this.latencies.add(handle.monotonic() - started)
        return result
      },
      (error: unknown) => {
        if (kind === 'buffer' && isTidemarkError(error) && error.code === 'CONFLICT')
          handle.readSet?.told(memtable, withOffsets)
        throw error
      },
    )
  }

  /** Takes back what surely did not happen, beneath what came since. */
  rollback(memtables: readonly Memtable[], withOffsets: boolean): void {
    this.#revision++
    if (withOffsets) this.#fallenOffsets++
    const buffer = new Memtable()
    for (const memtable of memtables) buffer.absorb(memtable)
    buffer.absorb(this.#buffer)
    this.#buffer = buffer
  }

  discard(): void {
    this.#buffer = new Memtable()
  }

  /** Drops what is buffered, and says so. */
  drop(by: string): void {
    if (this.#buffer.empty) return
    const { name } = this.#handle.options
    let count = 0
    for (const { points, ranges } of this.#buffer.slots.values()) count += points.size + ranges.length
    this.#handle.report(
      `${by} dropped ${count} uncommitted change${count === 1 ? '' : 's'} of store "${name}"; commit() before it, or set() in place of put(), would have kept what they say.`,
    )
    this.discard()
  }
}
