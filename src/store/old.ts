/** What works on old versions: opening them, putting them back, and keeping them by name. */
import type { Key } from '../bytes/keys.js'
import { checkFields, invalid } from '../errors.js'
import { NO_OFFSETS, parseOffsets, type Offsets } from '../log/offsets.js'
import type { MakeChange } from '../engine/write/requests.js'
import { createFork } from '../engine/history/fork.js'
import { expired, soundest } from '../engine/history/past.js'
import { putPin } from '../engine/history/pin-version.js'
import { isOver, pinsOf, tagNamed, unknownTag, type StoredPin } from '../engine/history/pins.js'
import { dropPayload, payloadOf, splice, spliceOffsets } from '../engine/history/reset.js'
import type { StoreHost } from './store-host.js'
import { checkTagName, findVersion, type Found, type When } from './find.js'
import { required } from './options.js'
import { Snapshot } from './snapshot.js'
import { checkTtl, type TableSpec } from './table-spec.js'

export { readVersions } from './history.js'
export { Snapshot } from './snapshot.js'

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

export interface ForkOptions {
  /** Default: the newest version. */
  readonly at?: When | undefined
}

const TAG = new Set(['at', 'ttlMs'])
const FORK = new Set(['at'])

/** The state of a version that is kept. */
export async function findIn(handle: StoreHost, when: When): Promise<Found> {
  handle.assertOpen()
  const { shard } = handle
  const finding = findVersion({ store: handle.options.name, shard, now: () => handle.now() }, when)
  handle.hold(shard.state, finding, shard.state.carried.trim)
  const found = await finding
  // What comes from the log is sound already.
  return found.from ? { ...found, state: await soundest(shard, found.state) } : found
}

export async function openVersion<K extends Key, V>(
  handle: StoreHost,
  spec: TableSpec,
  when: When,
): Promise<Snapshot<K, V>> {
  const { state } = await findIn(handle, when)
  return new Snapshot<K, V>(handle, spec, state)
}

export async function prepareRestore(
  handle: StoreHost,
  when: When,
  options: RestoreOptions,
  cleanUp: (() => unknown)[],
): Promise<MakeChange> {
  const chosen = checkPartitions(options.partitions, handle.partitions)
  const given = options.offsets === undefined ? NO_OFFSETS : parseOffsets(options.offsets)
  const { shard } = handle
  const { state } = await findIn(handle, when)
  handle.assertWritable()
  // Collection leaves alone what it is about to name, though the version may be on the point of expiring.
  const hold = handle.hold(state)
  cleanUp.push(() => hold.release())
  let theirs = await payloadOf(shard, state, shard.compaction!.signal)
  // What was uploaded for it is named in the end, or never will be.
  cleanUp.push(() => dropPayload(shard, theirs))
  const { version, offsets } = state.carried
  const partitions = chosen.size === handle.partitions ? [] : [...chosen].sort((a, b) => a - b)
  const origin = { log: shard.log.path, version, partitions }
  return async (present, signal) => {
    const before = present.carried
    // What was held for too long may have been condemned and deleted by now.
    if (before.keeps > version && !hold.use()) throw expired(handle.options.name, version)
    if (shard.context.uploads.areCondemned(theirs.manifest.runs.flat())) {
      await dropPayload(shard, theirs)
      theirs = await payloadOf(shard, state, signal)
    }
    const isWhole = partitions.length === 0
    const { manifest, memtable } = isWhole ? theirs : splice(await payloadOf(shard, present, signal), theirs, chosen)
    const merged = spliceOffsets(before.offsets, offsets, isWhole ? 'all' : chosen, given)
    return { kind: 'reset', memtable, offsets: merged, reset: { manifest, origin } }
  }
}

/** `newest` is the version that is tagged unless the options say another. */
export async function tag(handle: StoreHost, name: string, options: TagOptions, newest: number): Promise<TagInfo> {
  checkFields('tag', options, TAG)
  checkTagName(name)
  const ttlMs = options.ttlMs === undefined ? 0 : checkTtl(options.ttlMs)
  handle.assertWritable()
  const { shard } = handle
  const found = await findIn(handle, options.at ?? newest)
  if (tagNamed(await pinsOf(shard), name, handle.now())) {
    throw invalid(
      `Store "${handle.options.name}" has a tag "${name}" already; untag() it first, or choose another name.`,
    )
  }
  shard.assertWritable()
  return infoOf(await holding(handle, found, putPin(shard, { kind: 'tag', name, ttlMs, ...found, isHeld: true })))
}

export async function untag(handle: StoreHost, name: string): Promise<void> {
  checkTagName(name)
  handle.assertWritable()
  const { shard } = handle
  const pins = (await pinsOf(shard)).filter((pin) => pin.kind === 'tag' && pin.name === name)
  if (!pins.some((pin) => !isOver(pin, handle.now()))) throw unknownTag(handle.options.name, name)
  shard.assertWritable()
  await shard.context.storage.blobs.delete(pins.map(({ blob }) => blob))
}

/** Oldest first; of two with one name only the newer. */
export async function tags(handle: StoreHost): Promise<TagInfo[]> {
  handle.assertOpen()
  const pins = (await pinsOf(handle.shard)).filter((pin) => pin.kind === 'tag' && !isOver(pin, handle.now()))
  const newest = new Map(pins.map((pin) => [pin.name, pin]))
  return pins.filter((pin) => newest.get(pin.name) === pin).map(infoOf)
}

export async function fork(handle: StoreHost, name: string, options: ForkOptions, newest: number): Promise<void> {
  checkFields('fork', options, FORK)
  checkTagName(name)
  handle.assertWritable()
  const found = await findIn(handle, options.at ?? newest)
  handle.shard.assertWritable()
  await holding(handle, found, createFork(handle.shard, name, { ...found, isHeld: true }))
}

/** The version stays while a pin of it is being made. */
async function holding<T>(handle: StoreHost, { state }: Found, making: Promise<T>): Promise<T> {
  handle.hold(state, making)
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
