/** The past of a store: opening old versions, putting them back, and keeping them by name. */
import { checkFields, invalid, show, TidemarkError } from '../errors.js'
import { NO_OFFSETS, parseOffsets, type OffsetMap, type Offsets } from '../log/offsets.js'
import type { Carried } from '../log/entry.js'
import { checkStoreName } from '../manifest/names.js'
import { expired } from '../shard/past.js'
import { isOver, stateOfPin, tagNamed, unknownTag, type StoredPin } from '../shard/pins.js'
import { splice, spliceOffsets } from '../shard/reset.js'
import type { ShardState } from '../shard/state.js'
import { parseCommit, type CommitParts } from './commit.js'
import type { Engine, Hold } from './engine.js'
import { required } from './options.js'
import { checkTtl } from './table-spec.js'

/** A version by its number, by a tag, or as it was at a moment. */
export type When = number | string | Date

export interface RestoreOptions {
  /** Only these go back. Default: all. */
  readonly partitions?: readonly number[] | undefined
  /** Where sources are to be read from afterwards. Default: as it was then. */
  readonly offsets?: Offsets | undefined
  readonly label?: string | undefined
  /** Anything that JSON keeps. */
  readonly meta?: unknown
}

export interface TagOptions {
  /** Default: the newest version. */
  readonly at?: When | undefined
  /** How long the tag keeps its version, in milliseconds. Default: until `untag`. */
  readonly ttlMs?: number | undefined
}

export interface TagInfo {
  readonly name: string
  readonly version: number
  /** When the version was made, milliseconds since the epoch. */
  readonly time: number
  /** When the tag was made. */
  readonly tagged: number
  /** When it ends; left out: never. */
  readonly expires?: number
}

/** A state of the past, and the pin that it was taken from where the log no longer has it. */
export interface Found {
  readonly state: ShardState
  readonly from: StoredPin | undefined
}

const RESTORE = new Set(['partitions', 'offsets', 'label', 'meta'])
const TAG = new Set(['at', 'ttlMs'])
const FORK = new Set(['at'])

export class Past {
  readonly #engine: Engine

  constructor(engine: Engine) {
    this.#engine = engine
  }

  get #store(): string {
    return this.#engine.options.name
  }

  /** The state of a version that is kept. */
  async find(when: When): Promise<Found> {
    this.#engine.assertOpen()
    const { shard } = this.#engine
    if (typeof when === 'string') return this.#findTag(when)
    const { keeps, version: newest } = shard.state.carried
    if (when instanceof Date) return { state: await shard.stateAt(await this.#versionAt(when)), from: undefined }
    required('at', when, 0)
    if (newest === 0 || when === 0 || when > shard.state.head) {
      throw new TidemarkError(
        'NOT_FOUND',
        `Store "${this.#store}" has no version ${when}; its newest one is ${newest}.`,
      )
    }
    if (when < keeps) {
      const pins = await shard.pins()
      // Of several tags one that is over must not hide the others.
      const now = this.#engine.now()
      const pin = pins.find((tag) => tag.kind === 'tag' && tag.version === when && !isOver(tag, now))
      if (pin === undefined) throw expired(this.#store, when)
      return { state: await shard.repairs.soundest(stateOfPin(pin, shard.log.path)), from: pin }
    }
    const { version } = await this.#carriedAt(Math.min(when, newest))
    if (version === 0) {
      throw new TidemarkError('NOT_FOUND', `Version ${when} of store "${this.#store}" is before its first commit.`)
    }
    return { state: await shard.stateAt(version), from: undefined }
  }

  async #findTag(name: string): Promise<Found> {
    checkTagName(name)
    const { shard } = this.#engine
    const pin = tagNamed(await shard.pins(), name, this.#engine.now())
    if (pin === undefined) throw unknownTag(this.#store, name)
    return { state: await shard.repairs.soundest(stateOfPin(pin, shard.log.path)), from: pin }
  }

  /** What entry `n`, or the last one before it that knows, carries. */
  async #carriedAt(n: number): Promise<Carried> {
    const { carried } = (await this.#engine.shard.readEntry(n)).entry
    return carried ?? this.#carriedAt(n - 1)
  }

  /** The newest version that was made up to then, by bisection: times never go back from entry to entry. */
  async #versionAt(when: Date): Promise<number> {
    const time = when.getTime()
    if (Number.isNaN(time)) throw invalid('at: the date is invalid.')
    const { keeps, trim, version: newest } = this.#engine.state.carried
    const isLater = async (n: number): Promise<boolean> => (await this.#carriedAt(n)).versionTime > time
    let [low, high] = [Math.max(keeps, trim + 1), newest]
    if (keeps > 0 && (await isLater(keeps))) throw expired(this.#store, when.toISOString())
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (await isLater(middle)) high = middle - 1
      else low = middle
    }
    const { version, versionTime } = newest === 0 ? this.#engine.state.carried : await this.#carriedAt(low)
    if (version > 0 && versionTime <= time) return version
    throw new TidemarkError('NOT_FOUND', `Store "${this.#store}" had no version yet at ${when.toISOString()}.`)
  }

  async restore(when: When, options: RestoreOptions): Promise<{ version: number; undo: number }> {
    checkFields('restore', options, RESTORE)
    const engine = this.#engine
    engine.assertWritable()
    const chosen = checkPartitions(options.partitions, engine.partitions)
    const given = options.offsets === undefined ? NO_OFFSETS : parseOffsets(options.offsets)
    const { label, meta } = parseCommit({ label: options.label, meta: options.meta })
    engine.assertClean('restore')
    const { state } = await this.find(when)
    engine.assertWritable()
    engine.assertClean('restore')
    // Collection leaves alone what it is about to name, though the version may be on the point of expiring.
    const hold = engine.hold(state)
    try {
      return await this.#restore(state, hold, chosen, given, { label, meta })
    } finally {
      hold.release()
    }
  }

  async #restore(
    state: ShardState,
    hold: Hold,
    chosen: ReadonlySet<number>,
    given: OffsetMap,
    { label, meta }: Pick<CommitParts, 'label' | 'meta'>,
  ): Promise<{ version: number; undo: number }> {
    const engine = this.#engine
    const { shard } = engine
    const theirs = await shard.payloadOf(state, shard.signal)
    const { version, offsets } = state.carried
    const partitions = chosen.size === engine.partitions ? [] : [...chosen].sort((a, b) => a - b)
    const origin = { log: shard.log.path, version, partitions }
    engine.assertWritable()
    const resetting = shard.reset({
      label,
      meta,
      offsets: (before) => spliceOffsets(before, offsets, partitions.length === 0 ? 'all' : chosen, given),
      build: async (present, signal) => {
        // What was held for too long may have been condemned and deleted by now.
        if (present.carried.keeps > version && !hold.use()) throw expired(this.#store, version)
        if (partitions.length === 0) return { reset: { manifest: theirs.manifest, origin }, layer: theirs.layer }
        const { manifest, layer } = splice(await shard.payloadOf(present, signal), theirs, chosen)
        return { reset: { manifest, origin }, layer }
      },
    })
    engine.changed()
    try {
      const { version: made, undo } = await resetting
      return { version: made, undo }
    } finally {
      // What was uploaded for it is named by now, or never will be.
      shard.drop(theirs)
    }
  }

  async tag(name: string, options: TagOptions): Promise<TagInfo> {
    checkFields('tag', options, TAG)
    checkTagName(name)
    const ttlMs = options.ttlMs === undefined ? 0 : checkTtl(options.ttlMs)
    this.#engine.assertWritable()
    const { shard } = this.#engine
    const { state, from } = await this.find(options.at ?? this.#engine.state.carried.version)
    if (tagNamed(await shard.pins(), name, this.#engine.now())) {
      throw invalid(`Store "${this.#store}" has a tag "${name}" already; untag() it first, or choose another name.`)
    }
    return infoOf(await shard.pin({ kind: 'tag', name, ttlMs, state, from }))
  }

  async untag(name: string): Promise<void> {
    checkTagName(name)
    this.#engine.assertWritable()
    const { shard } = this.#engine
    const pins = (await shard.pins()).filter((pin) => pin.kind === 'tag' && pin.name === name)
    if (!pins.some((pin) => !isOver(pin, this.#engine.now()))) throw unknownTag(this.#store, name)
    await shard.unpin(pins)
  }

  /** Oldest first; of two with one name only the newer. */
  async tags(): Promise<TagInfo[]> {
    this.#engine.assertOpen()
    const pins = (await this.#engine.shard.pins()).filter(
      (pin) => pin.kind === 'tag' && !isOver(pin, this.#engine.now()),
    )
    const newest = new Map(pins.map((pin) => [pin.name, pin]))
    return pins.filter((pin) => newest.get(pin.name) === pin).map(infoOf)
  }

  async fork(name: string, options: { readonly at?: When | undefined }): Promise<void> {
    checkFields('fork', options, FORK)
    checkTagName(name)
    this.#engine.assertWritable()
    const found = await this.find(options.at ?? this.#engine.state.carried.version)
    await this.#engine.shard.fork(name, found)
  }
}

function infoOf({ name, version, versionTime, made, expires }: StoredPin): TagInfo {
  return { name, version, time: versionTime, tagged: made, ...(expires > 0 && { expires }) }
}

/** Like a store's name, with a letter in it: no tag reads as a version or a date. */
function checkTagName(name: unknown): asserts name is string {
  checkStoreName(name)
  if (!/[a-z]/.test(name)) throw invalid(`${show(name)} has no letter; names of tags and forks have at least one.`)
}

function checkPartitions(given: readonly number[] | undefined, count: number): ReadonlySet<number> {
  if (given === undefined) return new Set(Array.from({ length: count }, (_, i) => i))
  if (!Array.isArray(given) || given.length === 0) throw invalid('partitions: an array of at least one is expected.')
  return new Set((given as readonly unknown[]).map((number) => required('partitions', number, 0, count - 1)))
}
