/** The past of a store: opening old versions, putting them back, and keeping them by name. */
import { checkFields, invalid } from '../errors.js'
import { NO_OFFSETS, parseOffsets, type OffsetMap, type Offsets } from '../log/offsets.js'
import type { PreparedReset } from '../shard/requests.js'
import { expired } from '../shard/past.js'
import { isOver, tagNamed, unknownTag, type StoredPin } from '../shard/pins.js'
import { splice, spliceOffsets } from '../shard/reset.js'
import { parseCommit } from './commit.js'
import type { Engine } from './engine.js'
import { checkTagName, findVersion, type Found, type When } from './find.js'
import { required } from './options.js'
import { checkTtl } from './table-spec.js'

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
    const engine = this.#engine
    const { shard } = engine
    const found = await findVersion({ store: this.#store, shard, now: () => engine.now() }, when)
    // What comes from the log is sound already.
    return found.from ? { ...found, state: await shard.repairs.soundest(found.state) } : found
  }

  async restore(when: When, options: RestoreOptions): Promise<{ version: number; undo: number }> {
    checkFields('restore', options, RESTORE)
    const engine = this.#engine
    engine.assertWritable()
    const chosen = checkPartitions(options.partitions, engine.partitions)
    const given = options.offsets === undefined ? NO_OFFSETS : parseOffsets(options.offsets)
    const { label, meta } = parseCommit({ label: options.label, meta: options.meta })
    engine.changes.assertNone('restore')
    const { shard } = engine
    const cleanUp: (() => void)[] = []
    // Its place is before what is committed from here on, however long it takes to find the version.
    const resetting = shard.reset({ label, meta, prepared: this.#prepare(when, chosen, given, cleanUp) })
    engine.changes.changed()
    try {
      const { version, undo } = await resetting
      return { version, undo }
    } finally {
      for (const act of cleanUp) act()
    }
  }

  async #prepare(
    when: When,
    chosen: ReadonlySet<number>,
    given: OffsetMap,
    cleanUp: (() => void)[],
  ): Promise<PreparedReset> {
    const engine = this.#engine
    const { shard } = engine
    const { state } = await this.find(when)
    engine.assertWritable()
    // Collection leaves alone what it is about to name, though the version may be on the point of expiring.
    const hold = engine.hold(state)
    cleanUp.push(() => hold.release())
    let theirs = await shard.payloadOf(state, shard.signal)
    // What was uploaded for it is named in the end, or never will be.
    cleanUp.push(() => shard.drop(theirs))
    const { version, offsets } = state.carried
    const partitions = chosen.size === engine.partitions ? [] : [...chosen].sort((a, b) => a - b)
    const origin = { log: shard.log.path, version, partitions }
    return {
      offsets: (before) => spliceOffsets(before, offsets, partitions.length === 0 ? 'all' : chosen, given),
      build: async (present, signal) => {
        // What was held for too long may have been condemned and deleted by now.
        if (present.carried.keeps > version && !hold.use()) throw expired(this.#store, version)
        if (shard.isCondemned(theirs)) {
          shard.drop(theirs)
          theirs = await shard.payloadOf(state, signal)
        }
        if (partitions.length === 0) return { reset: { manifest: theirs.manifest, origin }, layer: theirs.layer }
        const { manifest, layer } = splice(await shard.payloadOf(present, signal), theirs, chosen)
        return { reset: { manifest, origin }, layer }
      },
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

function checkPartitions(given: readonly number[] | undefined, count: number): ReadonlySet<number> {
  if (given === undefined) return new Set(Array.from({ length: count }, (_, i) => i))
  if (!Array.isArray(given) || given.length === 0) throw invalid('partitions: an array of at least one is expected.')
  return new Set((given as readonly unknown[]).map((number) => required('partitions', number, 0, count - 1)))
}
