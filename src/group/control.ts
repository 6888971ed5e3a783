/**
 * The control store of a group: members, shards and who owns them, in a store in shared mode that lies beside the shards. Whoever
 * comes first creates it. It makes a group quick; only the logs make it true.
 *
 * A look at it is one read. Its generation is its version, above a base that lies above all that the logs of the shards say:
 * so a control store that was lost or damaged, and is made anew, goes on above them (G7).
 */
import { Part } from '../part.js'
import { singleFlight } from '../async.js'
import { damaged, isTidemarkError, TidemarkError } from '../errors.js'
import { following } from '../engine/shard.js'
import { anchorPath } from '../manifest/names.js'
import { StoreHandle } from '../store/handle.js'
import { resolveOptions, type OpenOptions, type ResolvedOptions } from '../store/open-options.js'
import { Store } from '../store/store.js'
import { changedRows, stateOf } from './rows.js'
import type { GroupState } from './state.js'

const past = new Part(() => import('../engine/history/past.js'))
const anew = new Part(() => import('./anew.js'))

/** The folder of the control store. */
export const CONTROL = 'group'
/** Where the base of the generations stands. */
const BASE = 'base'
/** Every so many looks it is asked whether the store is still the same: then the anchor is read in place of the next entry. */
const LOOKS = 60
/** How often a change is tried whose fate is not known. */
const TRIES = 8

/** Of a store that is so small little has to be kept. */
const RETAIN = { versions: 16, ageMs: 0, hourly: 0, daily: 0 }

export type ControlOptions = Pick<
  OpenOptions,
  'storage' | 'name' | 'clock' | 'logger' | 'timeoutMs' | 'graceMs' | 'create'
>

/** Makes another state of one; the same object when nothing has to change. `now` is the storage's time. */
export type Change = (state: GroupState, now: number) => GroupState

/** What a control store that says nothing yet has to say. */
export interface First {
  readonly state: GroupState
  /** The highest generation in the logs of the shards. */
  readonly base: number
}

/** What was read of it at one version. */
interface Known {
  readonly version: number
  readonly base: number
  readonly state: GroupState | undefined
}

type Rows = Store<string, unknown>

export class Control {
  readonly #options: ControlOptions
  readonly #first: () => Promise<First>
  /** It says something else. */
  readonly #changed: () => void
  #handle!: StoreHandle
  #store!: Rows
  readonly #once = singleFlight()
  #known: Known = { version: -1, base: 0, state: undefined }
  /** It says nothing yet, as it was made just now; what the former one said is known until it does. */
  #isEmpty = true
  /** It was opened again, and not read since. */
  #isOld = false
  #isClosed = false
  #looks = 0

  /** Opens it, or creates it; `first` is asked for what it has to say when it says nothing. */
  static async open(options: ControlOptions, first: () => Promise<First>, changed: () => void): Promise<Control> {
    const control = new Control(options, first, changed)
    await control.#open()
    return control
  }

  private constructor(options: ControlOptions, first: () => Promise<First>, changed: () => void) {
    this.#options = options
    this.#first = first
    this.#changed = changed
  }

  /** A store that cannot be read is made anew, if the logs say what it has to say. The line may have damaged it, so that it is read twice. */
  async #open(): Promise<void> {
    try {
      return await this.#openOnce()
    } catch (error) {
      if (!isCorrupt(error)) throw error
    }
    const { storage, name } = this.#options
    const place = { name, folder: CONTROL }
    const seen = await storage.anchor(anchorPath(name, CONTROL)).read()
    try {
      return await this.#openOnce()
    } catch (error) {
      if (!isCorrupt(error)) throw error
      await this.#first()
      if (!(await anew.use((part) => part.removeControl(storage, place, seen)))) throw error
      await this.#openOnce()
      this.#handle.report(`The control store of group "${name}" was damaged, and is made anew from the logs.`, error)
    }
  }

  async #openOnce(): Promise<void> {
    const options = resolveOptions({ ...this.#options, mode: 'shared', partitions: 1, retain: RETAIN })
    this.#handle = await this.#openHandle({ ...options, folder: CONTROL })
    this.#store = new Store<string, unknown>(this.#handle, this.#handle.spec('', options.table))
    this.#store.on('version', () => void this.#read().catch(() => undefined))
    try {
      await this.#read()
      if (this.#isEmpty) await this.#begin()
    } catch (error) {
      await this.#handle.close()
      throw error
    }
  }

  async #openHandle(options: ResolvedOptions & { folder: string }): Promise<StoreHandle> {
    try {
      return await StoreHandle.open({ ...options, create: false })
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'NOT_FOUND' || options.create === false) throw error
    }
    // Of a store that was destroyed nothing is made anew.
    await this.#first()
    return StoreHandle.open(options)
  }

  /** The number of the newest state that is known here. It rises, whatever is lost. */
  get generation(): number {
    return this.#known.base + this.#known.version
  }

  get state(): GroupState {
    return this.#known.state!
  }

  /** The storage's time. */
  now(): number {
    return this.#handle.now()
  }

  /** Takes up what others have written: one read. */
  async look(): Promise<void> {
    const handle = this.#handle
    const { context, log } = handle.shard
    try {
      // A store that was lost shows no newer entries: only its anchor tells.
      if (++this.#looks % LOOKS === 0) await past.use((part) => part.namedAnchor(context, log))
      else {
        await following.use((part) => part.confirm(handle.shard))
        await this.#read()
      }
    } catch (error) {
      // Closed is one that could not be opened again before.
      if (!isTidemarkError(error) || !['CORRUPT', 'NOT_FOUND', 'CLOSED'].includes(error.code)) throw error
      await this.#again(handle)
    }
  }

  /** Opens it again, unless somebody has meanwhile; it is created when it is gone. */
  #again(failed: StoreHandle): Promise<void> {
    return this.#once('again', async () => {
      if (failed !== this.#handle || this.#isClosed) return
      await closeUnmarked(failed)
      this.#isOld = true
      await this.#open()
    })
  }

  /** Changes the state, on top of what it is when the change is written (G6). Resolves when the state says it. */
  async transact(change: Change): Promise<void> {
    for (let tries = 1; ; tries++) {
      const handle = this.#handle
      try {
        await this.#write(async (known, now) => {
          const { state } = known
          if (state === undefined) throw gone(this.#options.name)
          return { ...known, state: change(state, now) }
        })
        return
      } catch (error) {
        // What became of it shows when it is read again: a change that was made makes no other.
        if (this.#isClosed || !isDoubtful(error) || tries === TRIES) throw error
        await this.#again(handle)
      }
    }
  }

  /** Makes generations begin above what a log says (G7). */
  async raise(above: number): Promise<void> {
    if (this.generation > above) return
    await this.#write(async (known) => ({ ...known, base: Math.max(known.base, above) }))
  }

  /** Writes down what is there to share out, unless somebody has. */
  async #begin(): Promise<void> {
    const { state, base } = await this.#first()
    const above = Math.max(base, this.generation)
    await this.#write(async (known) => (known.state ? known : { ...known, state, base: above }))
  }

  async #write(change: (known: Known, now: number) => Promise<Known>): Promise<void> {
    await this.#store.transaction(async (tx) => {
      const before = await knownOf(this.#store.version, tx)
      const after = await change(before, this.now())
      if (after.base !== before.base) tx.put(BASE, after.base)
      if (after.state === before.state) return
      const { puts, deletes } = changedRows(before.state, after.state!)
      for (const [key, row] of puts) tx.put(key, row)
      for (const key of deletes) tx.delete(key)
    })
    await this.#read()
  }

  /** Reads the rows, when there are others than those that are known. */
  async #read(): Promise<void> {
    if (!this.#isOld && this.#store.version === this.#known.version) return
    const snapshot = await this.#store.snapshot()
    try {
      const known = await knownOf(snapshot.version, snapshot)
      // One that began later may have been quicker.
      if (!this.#isOld && known.version <= this.#known.version) return
      this.#isOld = false
      this.#isEmpty = known.state === undefined
      this.#known = { ...known, state: known.state ?? this.#known.state }
      if (!this.#isEmpty) this.#changed()
    } finally {
      await snapshot.close()
    }
  }

  close(): Promise<void> {
    this.#isClosed = true
    return closeUnmarked(this.#handle)
  }
}

async function knownOf(version: number, table: Pick<Rows, 'entries'>): Promise<Known> {
  const rows = new Map<string, unknown>()
  for await (const [key, row] of table.entries()) rows.set(key, row)
  const base = rows.get(BASE) ?? 0
  rows.delete(BASE)
  if (!Number.isSafeInteger(base)) throw damaged('The control store', 'the base of its generations is no number')
  return { version, base: base as number, state: stateOf(rows, 'The control store') }
}

/** Whether only reading tells what became of a change, or whether it can be written at all. */
function isDoubtful(error: unknown): boolean {
  return isTidemarkError(error) && ['UNKNOWN_OUTCOME', 'FENCED', 'NOT_FOUND', 'CLOSED', 'CORRUPT'].includes(error.code)
}

/** One that was written by a newer release is none. */
function isCorrupt(error: unknown): boolean {
  return isTidemarkError(error) && error.code === 'CORRUPT'
}

function gone(name: string): TidemarkError {
  return new TidemarkError('NOT_FOUND', `The control store of group "${name}" says nothing of it any more; join again.`)
}

/**
 * Without the mark by which others may open a store in another mode: nobody does, and where the store was lost it would look like
 * what is left of it.
 */
function closeUnmarked(handle: StoreHandle): Promise<void> {
  handle.shard.log.writes = 0
  return handle.close()
}
