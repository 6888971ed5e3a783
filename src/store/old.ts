/** What works on old versions: opening them, putting them back, and keeping them by name. */
import type { Key } from '../bytes/keys.js'
import { checkFields, invalid } from '../errors.js'
import { NO_OFFSETS, parseOffsets } from '../log/offsets.js'
import type { PreparedReset } from '../engine/write/requests.js'
import { expired } from '../engine/history/past.js'
import { isOver, tagNamed, unknownTag, type StoredPin } from '../engine/history/pins.js'
import { splice, spliceOffsets } from '../engine/history/reset.js'
import {
  dropPayload,
  forkVersion,
  isPayloadCondemned,
  payloadIn,
  pinsOf,
  pinVersion,
  unpin,
} from '../engine/history/versions.js'
import type { Engine } from './handle.js'
import { checkTagName, findVersion, type Found, type When } from './find.js'
import { required } from './options.js'
import type { ForkOptions, RestoreOptions, TagInfo, TagOptions } from './past.js'
import { Snapshot } from './snapshot.js'
import { checkTtl, type TableSpec } from './table-spec.js'

export { readVersions } from './history.js'
export { Snapshot } from './snapshot.js'

const TAG = new Set(['at', 'ttlMs'])
const FORK = new Set(['at'])

/** The state of a version that is kept. */
export async function findIn(engine: Engine, when: When): Promise<Found> {
  engine.assertOpen()
  const { shard } = engine
  const finding = findVersion({ store: engine.options.name, shard, now: () => engine.now() }, when)
  engine.hold(shard.state, finding, shard.state.carried.trim)
  const found = await finding
  // What comes from the log is sound already.
  return found.from ? { ...found, state: await shard.repairs.soundest(found.state) } : found
}

export async function openVersion<K extends Key, V>(
  engine: Engine,
  spec: TableSpec,
  when: When,
): Promise<Snapshot<K, V>> {
  const { state } = await findIn(engine, when)
  return new Snapshot<K, V>(engine, spec, state)
}

export async function prepareRestore(
  engine: Engine,
  when: When,
  options: RestoreOptions,
  cleanUp: (() => unknown)[],
): Promise<PreparedReset> {
  const chosen = checkPartitions(options.partitions, engine.partitions)
  const given = options.offsets === undefined ? NO_OFFSETS : parseOffsets(options.offsets)
  const { shard } = engine
  const { state } = await findIn(engine, when)
  engine.assertWritable()
  // Collection leaves alone what it is about to name, though the version may be on the point of expiring.
  const hold = engine.hold(state)
  cleanUp.push(() => hold.release())
  let theirs = await payloadIn(shard, state, shard.signal)
  // What was uploaded for it is named in the end, or never will be.
  cleanUp.push(() => dropPayload(shard, theirs))
  const { version, offsets } = state.carried
  const partitions = chosen.size === engine.partitions ? [] : [...chosen].sort((a, b) => a - b)
  const origin = { log: shard.log.path, version, partitions }
  return {
    offsets: (before) => spliceOffsets(before, offsets, partitions.length === 0 ? 'all' : chosen, given),
    build: async (present, signal) => {
      // What was held for too long may have been condemned and deleted by now.
      if (present.carried.keeps > version && !hold.use()) throw expired(engine.options.name, version)
      if (isPayloadCondemned(shard, theirs)) {
        await dropPayload(shard, theirs)
        theirs = await payloadIn(shard, state, signal)
      }
      if (partitions.length === 0) return { reset: { manifest: theirs.manifest, origin }, layer: theirs.layer }
      const { manifest, layer } = splice(await payloadIn(shard, present, signal), theirs, chosen)
      return { reset: { manifest, origin }, layer }
    },
  }
}

/** `newest` is the version that is tagged unless the options say another. */
export async function tag(engine: Engine, name: string, options: TagOptions, newest: number): Promise<TagInfo> {
  checkFields('tag', options, TAG)
  checkTagName(name)
  const ttlMs = options.ttlMs === undefined ? 0 : checkTtl(options.ttlMs)
  engine.assertWritable()
  const { shard } = engine
  const found = await findIn(engine, options.at ?? newest)
  if (tagNamed(await pinsOf(shard), name, engine.now())) {
    throw invalid(
      `Store "${engine.options.name}" has a tag "${name}" already; untag() it first, or choose another name.`,
    )
  }
  return infoOf(await holding(engine, found, pinVersion(shard, { kind: 'tag', name, ttlMs, ...found, isHeld: true })))
}

export async function untag(engine: Engine, name: string): Promise<void> {
  checkTagName(name)
  engine.assertWritable()
  const { shard } = engine
  const pins = (await pinsOf(shard)).filter((pin) => pin.kind === 'tag' && pin.name === name)
  if (!pins.some((pin) => !isOver(pin, engine.now()))) throw unknownTag(engine.options.name, name)
  await unpin(shard, pins)
}

/** Oldest first; of two with one name only the newer. */
export async function tags(engine: Engine): Promise<TagInfo[]> {
  engine.assertOpen()
  const pins = (await pinsOf(engine.shard)).filter((pin) => pin.kind === 'tag' && !isOver(pin, engine.now()))
  const newest = new Map(pins.map((pin) => [pin.name, pin]))
  return pins.filter((pin) => newest.get(pin.name) === pin).map(infoOf)
}

export async function fork(engine: Engine, name: string, options: ForkOptions, newest: number): Promise<void> {
  checkFields('fork', options, FORK)
  checkTagName(name)
  engine.assertWritable()
  const found = await findIn(engine, options.at ?? newest)
  await holding(engine, found, forkVersion(engine.shard, name, { ...found, isHeld: true }))
}

/** The version stays while a pin of it is being made. */
async function holding<T>(engine: Engine, { state }: Found, making: Promise<T>): Promise<T> {
  engine.hold(state, making)
  return making
}

function infoOf({ name, version, versionTime, made, expires }: StoredPin): TagInfo {
  return { name, version, time: versionTime, tagged: made, ...(expires > 0 && { expires }) }
}

function checkPartitions(given: readonly number[] | undefined, count: number): ReadonlySet<number> {
  if (given === undefined) return new Set(Array.from({ length: count }, (_, i) => i))
  if (!Array.isArray(given) || given.length === 0) throw invalid('partitions: an array of at least one is expected.')
  return new Set((given as readonly unknown[]).map((number) => required('partitions', number, 0, count - 1)))
}
