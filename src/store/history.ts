/** The versions of a store, read back from its log. */
import { corrupt } from '../errors.js'
import { offsetsToObject, type Offsets } from '../log/offsets.js'
import { lowestOffsets, type Standing } from '../log/spans.js'
import { readEntry } from '../engine/history/past.js'
import { pinsOf, type StoredPin } from '../engine/history/pins.js'
import { factsOf, factsOfPin, isTag, isThinned, type VersionFacts } from '../engine/history/thinned.js'
import type { StoreHandle } from './handle.js'
import { logsOf, unlessCollected, type OneLog } from './log-past.js'
import { boolean, checker, number } from './options.js'

/** A version, as `versions()` lists it. */
export interface VersionInfo {
  /** The number of the version. Numbers between two versions are entries of other kinds, as `store.version` says. */
  readonly version: number
  /** When it was made, in milliseconds since the epoch. */
  readonly time: number
  /** `reset`: a restore made it, a push from another store, or the split or merge with which its shard began. */
  readonly kind: 'commit' | 'reset'
  /** As it was given with the commit or the restore. */
  readonly label: string | undefined
  /** As it was given with the commit or the restore. */
  readonly meta: unknown
  /** The offsets of the version, merged over sources and partitions. */
  readonly offsets: Offsets
  /** The names of the tags that keep it. */
  readonly tags: readonly string[]
  /** Bytes of its changes. */
  readonly bytes: number
  /** Whether its entry carries a manifest, or carried one while it was there. */
  readonly folded: boolean
  /** The partitions of the shard that it is a version of; left out in a store that was never split. */
  readonly shard?: { readonly first: number; readonly last: number }
}

/** Options of `versions()`. */
export interface VersionsOptions {
  /**
   * The first version.
   * @default the oldest that is kept
   * @unit version
   * @when Set it to begin at a version that you know.
   */
  readonly gte?: number | undefined
  /**
   * The last version.
   * @default the newest
   * @unit version
   * @when Set it to end at a version that you know.
   */
  readonly lte?: number | undefined
  /**
   * From the newest to the oldest.
   * @default false
   * @when Set it to show the newest first.
   */
  readonly reverse?: boolean | undefined
  /**
   * The most versions that are read.
   * @default all
   * @unit versions
   * @when Set it to read one page.
   */
  readonly limit?: number | undefined
}

const READ_AHEAD = 32
const ALL = Number.MAX_SAFE_INTEGER
const check = checker('versions', {
  gte: number(1, 0),
  lte: number(ALL, 0),
  reverse: boolean(false),
  limit: number(ALL, 0),
})

/** Commits and resets that are kept, oldest first unless `reverse`. */
export async function* readVersions(handle: StoreHandle, options: VersionsOptions): AsyncGenerator<VersionInfo, void> {
  const checked = check(options)
  handle.assertOpen()
  const { shard } = handle
  const { state } = shard
  // The entries that are there now stay until they are read.
  const hold = handle.hold(state, undefined, state.carried.trim)
  const held = <T>(reading: Promise<T>): Promise<T> => {
    handle.hold(state, reading, state.carried.trim)
    return reading
  }
  try {
    let left = checked.limit
    for await (const info of byTime(await held(logsOf(shard)), handle.now(), checked, held)) {
      hold.use()
      if (left-- <= 0) return
      yield info
      handle.assertOpen()
    }
  } finally {
    hold.release()
  }
}

type Options = ReturnType<typeof check>
type Holding = <T>(reading: Promise<T>) => Promise<T>

/** The versions of all logs. Of one log they are in the order of their times already. */
async function* byTime(
  logs: readonly OneLog[],
  now: number,
  options: Options,
  held: Holding,
): AsyncGenerator<VersionInfo, void> {
  const sign = options.reverse ? -1 : 1
  const streams = logs.map((own) => unlessCollected(own, versionsIn(own, now, options, held)))
  const heads: (VersionInfo | undefined)[] = await Promise.all(streams.map(next))
  try {
    for (;;) {
      let first: number | undefined
      for (const [at, info] of heads.entries()) {
        if (info && (first === undefined || isBefore(info, heads[first]!, sign))) first = at
      }
      if (first === undefined) return
      yield heads[first]!
      heads[first] = await next(streams[first]!)
    }
  } finally {
    await Promise.all(streams.map((stream) => stream.return()))
  }
}

async function next<T>(stream: AsyncGenerator<T, void>): Promise<T | undefined> {
  const { done, value } = await stream.next()
  return done === true ? undefined : value
}

function isBefore(a: VersionInfo, b: VersionInfo, sign: number): boolean {
  const firsts = (a.shard?.first ?? 0) - (b.shard?.first ?? 0)
  return sign * (a.time - b.time || a.version - b.version || firsts) < 0
}

async function* versionsIn(
  { log: shard, shard: range }: OneLog,
  now: number,
  { gte, lte, reverse, limit }: Options,
  held: Holding,
): AsyncGenerator<VersionInfo, void> {
  const { state } = shard
  const pins = await held(pinsOf(shard))
  const tags = tagsByVersion(pins, now)
  const oldest = Math.max(state.carried.trim + 1, state.carried.keeps)
  const first = Math.max(oldest, gte)
  const last = Math.min(state.carried.version, lte)
  // Of two writers that collect at once each may have made a pin for a version.
  const thinned = new Map(pins.filter(isThinned).map((pin) => [pin.version, pin]))
  const older = [...thinned.values()]
    .filter(({ version }) => version < oldest && version >= gte && version <= lte)
    .sort((a, b) => (a.version - b.version) * (reverse ? -1 : 1))
    .map((pin) => infoOf(pin.version, pin.versionTime, pin, factsOfPin(pin, pin.blob), tags, range))
  let left = limit
  if (!reverse) {
    yield* older.slice(0, left)
    left -= Math.min(left, older.length)
  }
  const step = reverse ? -1 : 1
  let length = READ_AHEAD
  for (let n = reverse ? last : first; n >= first && n <= last && left > 0; n += step * length) {
    length = Math.min(READ_AHEAD, left)
    const numbers = Array.from({ length }, (_, i) => n + step * i).filter((m) => m >= first && m <= last)
    const entries = await held(Promise.all(numbers.map((m) => readEntry(shard.context, shard.log, m))))
    for (const applied of entries) {
      const facts = factsOf(applied)
      const { n: version, carried } = applied.entry
      if (facts && carried && left-- > 0) yield infoOf(version, carried.time, carried, facts, tags, range)
    }
  }
  if (reverse && left > 0) yield* older.slice(0, left)
}

function parseMeta(version: number, meta: string | undefined): unknown {
  if (meta === undefined) return undefined
  try {
    return JSON.parse(meta)
  } catch (cause) {
    throw corrupt(`The meta of entry ${version} is not JSON.`, cause)
  }
}

function tagsByVersion(pins: readonly StoredPin[], now: number): Map<number, string[]> {
  const tags = new Map<number, string[]>()
  for (const pin of pins) {
    if (!isTag(pin, now)) continue
    tags.set(pin.version, [...(tags.get(pin.version) ?? []), pin.name])
  }
  return tags
}

function infoOf(
  version: number,
  time: number,
  standing: Standing,
  { kind, label, meta, bytes, folded }: VersionFacts,
  tags: ReadonlyMap<number, readonly string[]>,
  shard: VersionInfo['shard'],
): VersionInfo {
  return {
    version,
    time,
    kind,
    label,
    meta: parseMeta(version, meta),
    offsets: offsetsToObject(lowestOffsets(standing)),
    tags: tags.get(version) ?? [],
    bytes,
    folded,
    ...(shard && { shard }),
  }
}
