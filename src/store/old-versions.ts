/** Old versions: opening them, putting them back, and keeping them by name. */
import type { Key } from '../bytes/keys.js'
import { invalid } from '../errors.js'
import type { Offsets } from '../log/offsets.js'
import type { MakeChange } from '../engine/write/requests.js'
import { createFork } from '../engine/history/fork.js'
import { expired, soundest } from '../engine/history/past.js'
import { putPin } from '../engine/history/pin-version.js'
import { pinsOf, tagNamed, unknownTag, type StoredPin } from '../engine/history/pins.js'
import { dropPayload, payloadOf, splice, spliceOffsets } from '../engine/history/reset.js'
import { isTag } from '../engine/history/thinned.js'
import { partitionsOf, restored } from '../engine/shards/spans.js'
import type { FoundPart } from '../engine/shards/moments.js'
import type { PartitionRange } from '../manifest/clip.js'
import { NOTES } from './changes.js'
import { checkTagName, findVersion, type Found, type When } from './find.js'
import type { StoreHandle } from './handle.js'
import { acrossSeals, logsOf, originOf, pinParts, type OneLog } from './log-past.js'
import { any, checker, optional, required } from './options.js'
import { Snapshot } from './snapshot.js'
import { checkTtl } from './table-checks.js'
import type { TableSpec } from './table-spec.js'

export { readVersions } from './history.js'
export { Snapshot } from './snapshot.js'

/** Options of `restore()`. */
export interface RestoreOptions {
  /**
   * The numbers of the partitions that go back.
   * @default all
   * @when Set it when only some partitions went wrong.
   */
  readonly partitions?: readonly number[] | undefined
  /**
   * Where sources are to be read from afterwards.
   * @default as it was then
   * @when Set it with `partitions`, when a source has one position for all of them.
   */
  readonly offsets?: Offsets | undefined
  /**
   * A name for the new version; `versions()` shows it.
   * @default none
   * @when Set it to say why.
   */
  readonly label?: string | undefined
  /**
   * Anything that JSON keeps; `versions()` shows it.
   * @default none
   * @when Set it to say why, to a program.
   */
  readonly meta?: unknown
}

/** Options of `tag()`. */
export interface TagOptions {
  /**
   * The version that is tagged.
   * @default the newest version
   * @when Set it to tag an older version, such as the last good one.
   */
  readonly at?: When | undefined
  /**
   * Instead of `at`: the version with which this epoch was over, as the option `epoch` of `consume()` has numbered it.
   * @default none
   * @unit epoch
   * @when Set it to keep a state that fits those of other shards.
   */
  readonly epoch?: number | undefined
  /**
   * How long the tag keeps its version, in milliseconds.
   * @default until `untag`
   * @unit milliseconds
   * @when Set it when nobody will remember to remove the tag.
   */
  readonly ttlMs?: number | undefined
}

/** A tag, as `tags()` lists it. */
export interface TagInfo {
  /** The name of the tag. */
  readonly name: string
  /** The version that it keeps. */
  readonly version: number
  /** When the version was made, in milliseconds since the epoch. */
  readonly time: number
  /** When the tag was made, in milliseconds since the epoch. */
  readonly tagged: number
  /** When the tag ends, in milliseconds since the epoch; left out when it never does. */
  readonly expires?: number
  /** The partitions of the shard whose version it keeps; left out in a store that was never split. */
  readonly shard?: { readonly first: number; readonly last: number }
}

/** Options of `fork()`. */
export interface ForkOptions {
  /**
   * The version that the fork begins with.
   * @default the newest version
   * @when Set it to begin with an older version.
   */
  readonly at?: When | undefined
}

const checkRestore = checker('restore', { ...NOTES, partitions: any<readonly number[] | undefined>() })
const checkTag = checker('tag', {
  at: any<When | undefined>(),
  epoch: any<number | undefined>(),
  ttlMs: optional(checkTtl),
})
const checkFork = checker('fork', { at: any<When | undefined>() })

/** The state of a version that is kept. */
export async function findIn(handle: StoreHandle, when: When): Promise<Found> {
  handle.assertOpen()
  const { shard } = handle
  const finding = findVersion(shard, when)
  handle.hold(shard.state, finding, shard.state.carried.trim)
  const found = await finding
  // A state that comes from the log is sound already.
  return found.from ? { ...found, state: await soundest(shard, found.state) } : found
}

export async function openVersion<K extends Key, V>(
  handle: StoreHandle,
  spec: TableSpec,
  when: When,
): Promise<Snapshot<K, V>> {
  const { state } = await findIn(handle, when)
  return new Snapshot<K, V>(handle, spec, state)
}

/** `cleanUp` is called once the restore has come about, or has failed. */
export async function prepareRestore(
  handle: StoreHandle,
  when: When,
  options: RestoreOptions,
  cleanUp: (() => unknown)[],
): Promise<MakeChange> {
  const { label, meta, offsets: given, partitions: numbers } = checkRestore(options)
  const { shard } = handle
  const range = partitionsOf(shard.state.carried.own, handle.partitions)
  const chosen = checkPartitions(numbers, range)
  const { state, parts, from } = await findIn(handle, when)
  handle.assertWritable()
  // Collection leaves alone what it is about to name, though the version may be on the point of expiring.
  const hold = handle.hold(state)
  cleanUp.push(() => hold.release())
  let theirs = await payloadOf(shard, state, shard.compaction!.signal)
  // If no entry comes to name these uploads, none ever will.
  cleanUp.push(() => dropPayload(shard, theirs))
  const { version, offsets, spans } = state.carried
  const isWhole = chosen.size === range[1] - range[0] + 1
  const partitions = isWhole ? [] : [...chosen].sort((a, b) => a - b)
  const origin = originOf(shard, state, parts, partitions)
  const foreign = await acrossSeals(shard, parts ?? [{ of: shard, state, from }])
  if (foreign) cleanUp.push(() => foreign.release())
  return async (present, signal) => {
    const before = present.carried
    // A state that was held for too long may have been condemned and deleted by now.
    if (!parts && before.keeps > version && !hold.use()) throw expired(handle.options.name, version)
    if (shard.context.uploads.areCondemned(theirs.manifest.runs.flat())) {
      await dropPayload(shard, theirs)
      theirs = await payloadOf(shard, state, signal)
    }
    // Nothing but these tells a collector of the logs before the seal what is about to be named (S9).
    await foreign?.hold(present.head + 1)
    const { manifest, memtable } = isWhole ? theirs : splice(await payloadOf(shard, present, signal), theirs, chosen)
    const stands =
      before.spans.size + spans.size > 0
        ? restored(before, state.carried, isWhole ? undefined : chosen, given, range)
        : { offsets: spliceOffsets(before.offsets, offsets, isWhole ? 'all' : chosen, given) }
    return { kind: 'reset', memtable, ...stands, reset: { manifest, origin }, label, meta }
  }
}

/** The tag of a version that other logs have; the newest part of it stands for all. */
async function tagParts(
  handle: StoreHandle,
  name: string,
  ttlMs: number,
  parts: readonly FoundPart[],
): Promise<TagInfo> {
  const making = pinParts(name, ttlMs, parts)
  for (const { state } of parts) handle.hold(state, making)
  const infos = (await making).map((pin, at) => {
    const { first, last } = parts[at]!
    return { pin, shard: { first, last } }
  })
  const [{ pin, shard }] = infos.sort((a, b) => b.pin.version - a.pin.version) as [(typeof infos)[number]]
  return infoOf(pin, { shard })
}

/** `newest` is the version that is tagged unless the options say another. */
export async function tag(handle: StoreHandle, name: string, options: TagOptions, newest: number): Promise<TagInfo> {
  const { epoch, at = epoch === undefined ? newest : { epoch }, ttlMs = 0 } = checkTag(options)
  checkTagName(name)
  handle.assertWritable()
  const { shard } = handle
  const found = await findIn(handle, at)
  const logs = await logsOf(shard)
  const pins = await Promise.all(logs.map(({ log }) => pinsOf(log)))
  if (pins.some((own) => tagNamed(own, name, handle.now()))) {
    throw invalid(
      `Store "${handle.options.name}" has a tag "${name}" already; untag() it first, or choose another name.`,
    )
  }
  shard.assertWritable()
  const { parts } = found
  if (parts) return tagParts(handle, name, ttlMs, parts)
  const pin = await holding(handle, found, putPin(shard, { kind: 'tag', name, ttlMs, ...found, isHeld: true }))
  return infoOf(pin, logs[0]!)
}

export async function untag(handle: StoreHandle, name: string): Promise<void> {
  checkTagName(name)
  handle.assertWritable()
  const { shard } = handle
  const all = await Promise.all((await logsOf(shard)).map(({ log }) => pinsOf(log)))
  const pins = all.flat().filter((pin) => pin.kind === 'tag' && pin.name === name)
  if (!pins.some((pin) => isTag(pin, handle.now()))) throw unknownTag(handle.options.name, name)
  shard.assertWritable()
  await shard.context.storage.blobs.delete(pins.map(({ blob }) => blob))
}

/** Oldest first; of two with one name only the newer. */
export async function tags(handle: StoreHandle): Promise<TagInfo[]> {
  handle.assertOpen()
  const found: StoredTag[] = []
  for (const own of await logsOf(handle.shard)) {
    const pins = (await pinsOf(own.log)).filter((pin) => isTag(pin, handle.now()))
    const newest = new Map(pins.map((pin) => [pin.name, pin]))
    found.push(...pins.filter((pin) => newest.get(pin.name) === pin).map((pin) => ({ pin, own })))
  }
  return found.sort((a, b) => a.pin.made - b.pin.made).map(({ pin, own }) => infoOf(pin, own))
}

interface StoredTag {
  readonly pin: StoredPin
  readonly own: OneLog
}

export async function fork(handle: StoreHandle, name: string, options: ForkOptions, newest: number): Promise<void> {
  const { at = newest } = checkFork(options)
  checkTagName(name)
  handle.assertWritable()
  const found = await findIn(handle, at)
  const [first, last] = partitionsOf(handle.state.carried.own, handle.partitions)
  if (found.parts || last - first + 1 < handle.partitions) {
    throw invalid(
      `Store "${handle.options.name}" has several shards, or had them when this version was made: a fork is made of a version of one. Bring them together with rescale() to 1 shard first, and fork a version that is made after that.`,
    )
  }
  handle.shard.assertWritable()
  await holding(handle, found, createFork(handle.shard, name, { ...found, isHeld: true }))
}

/** The version stays while a pin of it is being made. */
async function holding<T>(handle: StoreHandle, { state }: Found, making: Promise<T>): Promise<T> {
  handle.hold(state, making)
  return making
}

function infoOf({ name, version, versionTime, made, expires }: StoredPin, { shard }: Pick<OneLog, 'shard'>): TagInfo {
  return { name, version, time: versionTime, tagged: made, ...(expires > 0 && { expires }), ...(shard && { shard }) }
}

function checkPartitions(given: readonly number[] | undefined, [first, last]: PartitionRange): ReadonlySet<number> {
  if (given === undefined) return new Set(Array.from({ length: last - first + 1 }, (_, i) => first + i))
  if (!Array.isArray(given) || given.length === 0) throw invalid('partitions: an array of at least one is expected.')
  return new Set((given as readonly unknown[]).map((number) => required('partitions', number, first, last)))
}
