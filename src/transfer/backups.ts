/** Backups: versions at a target that `push` has tagged, so that retention keeps them. */
import type { Clock } from '../clock.js'
import { invalid } from '../errors.js'
import type { LogContext, ShardContext } from '../engine/context.js'
import { listPins, tagNamed, type StoredPin } from '../engine/history/pins.js'
import { putPin } from '../engine/history/pin-version.js'
import { isTag } from '../engine/history/thinned.js'
import type { ShardState } from '../engine/state.js'
import { nowIn } from '../store/context.js'
import { checkTagName } from '../store/find.js'
import { required } from '../store/options.js'
import { checkPlace, type StorePlace } from '../tools/place.js'
import { contextOf, openWhole } from './options.js'

/** A tagged version. */
export interface BackupInfo {
  /** The name of the tag. */
  readonly name: string
  /** The version at the target. */
  readonly version: number
  /** When the version was made at the target, in milliseconds since 1970. */
  readonly time: number
  /** When it was tagged, in milliseconds since 1970. */
  readonly tagged: number
}

/** The label of tags that push has made, in their pins: `keep` removes no others. */
const MADE_BY = 'push'

/**
 * Lists all tagged versions of a store, oldest first; `pull(local, remote, { at: name })` brings one back.
 *
 * @throws `NOT_FOUND` when there is no such store; `INVALID_ARGUMENT` when `place` is wrong
 * @throws `CORRUPT` when a tag or the log is damaged, `STORAGE_UNAVAILABLE` when the storage does not answer
 * @example
 *     for (const { name, version } of await backups({ storage, name: 'orders' })) console.log(name, version)
 */
export async function backups(place: StorePlace): Promise<BackupInfo[]> {
  checkPlace('backups', place)
  return reading(place, (ctx, log, now) => listBackups(ctx, log, now))
}

/**
 * Removes the tags of all backups that push has made but the newest `count`, and returns their names. Other tags stay, and do
 * not count. The space comes free when the store at `place` collects, at the latest by its `maintain()`.
 *
 * @throws `NOT_FOUND` when there is no such store; `INVALID_ARGUMENT` when `place` or `count` is wrong
 * @throws `CORRUPT` when a tag or the log is damaged, `STORAGE_UNAVAILABLE` when the storage does not answer
 * @example
 *     const removed = await keep({ storage, name: 'orders' }, 7)
 */
export async function keep(place: StorePlace, count: number): Promise<string[]> {
  checkPlace('keep', place)
  required('keep', count, 0)
  return reading(place, (ctx, log, now) => keepNewest(ctx, log, count, now))
}

async function reading<T>(
  place: StorePlace,
  run: (ctx: ShardContext, log: LogContext, now: number) => Promise<T>,
  clock?: Clock,
): Promise<T> {
  const ctx = contextOf(place, clock)
  const shard = await openWhole(ctx, undefined)
  try {
    return await run(ctx, shard.log, nowIn(ctx, shard))
  } finally {
    await shard.close()
  }
}

async function tagsOf(ctx: ShardContext, { path }: LogContext, now: number): Promise<StoredPin[]> {
  const pins = (await listPins(ctx.storage, path)).filter((pin) => isTag(pin, now))
  // The newer version is the newer backup. Clocks, of which each machine has one, decide between tags of one version only.
  return pins.sort((a, b) => a.version - b.version || a.made - b.made)
}

async function listBackups(ctx: ShardContext, log: LogContext, now: number): Promise<BackupInfo[]> {
  const pins = await tagsOf(ctx, log, now)
  const newest = new Map(pins.map((pin) => [pin.name, pin]))
  return pins
    .filter((pin) => newest.get(pin.name) === pin)
    .map(({ name, version, versionTime: time, made: tagged }) => ({ name, version, time, tagged }))
}

export async function keepNewest(ctx: ShardContext, log: LogContext, count: number, now: number): Promise<string[]> {
  const pins = (await tagsOf(ctx, log, now)).filter(({ label }) => label === MADE_BY)
  const over = pins.slice(0, Math.max(0, pins.length - count))
  if (over.length > 0) await ctx.storage.blobs.delete(over.map(({ blob }) => blob))
  return over.map(({ name }) => name)
}

/**
 * Whether the tag is yet to be made. Throws `INVALID_ARGUMENT` when another version has that name. A tag that push has made for
 * the very version that is to be tagged now is no error: that push was interrupted at its end, and is called again.
 */
export async function isTagFree(
  ctx: ShardContext,
  log: LogContext,
  tag: string,
  now: number,
  version: number | undefined,
): Promise<boolean> {
  const pin = tagNamed(await tagsOf(ctx, log, now), tag, now)
  if (pin === undefined) return true
  if (pin.label === MADE_BY && pin.version === version) return false
  throw invalid(`Store "${ctx.store}" has a tag "${tag}" already; choose another name, or untag() it first.`)
}

export function checkTag(tag: unknown): asserts tag is string | undefined {
  if (tag !== undefined) checkTagName(tag)
}

export async function tagBackup(
  context: ShardContext,
  log: LogContext,
  state: ShardState,
  name: string,
): Promise<void> {
  await putPin({ context, log, state }, { kind: 'tag', name, ttlMs: 0, label: MADE_BY, state, from: undefined })
}
