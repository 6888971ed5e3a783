/** Finding a kept version by its number, by a tag, or as it was at a moment. */
import { isDate } from '../bytes/kinds.js'
import { invalid, show, TidemarkError } from '../errors.js'
import type { Carried } from '../log/entry.js'
import { checkStoreName } from '../manifest/names.js'
import { expired, readEntry, stateOf } from '../engine/history/past.js'
import { HOUR } from '../engine/gc/retention.js'
import { isOver, pinsOf, stateOfPin, tagNamed, unknownTag, type StoredPin } from '../engine/history/pins.js'
import { isThinned } from '../engine/history/thinned.js'
import type { Shard } from '../engine/shard.js'
import type { ShardState } from '../engine/state.js'
import { nowIn } from './context.js'
import { required } from './options.js'

/** A version by its number, by a tag, or as it was at a moment. */
export type When = number | string | Date

/** A state of the past, and the pin that it was taken from where the log no longer has it. */
export interface Found {
  readonly state: ShardState
  readonly from: StoredPin | undefined
}

/** The state of a version that is kept. */
export async function findVersion(shard: Shard, when: When): Promise<Found> {
  if (typeof when === 'string') return findTag(shard, when)
  const { store } = shard.context
  const { keeps, version: newest } = shard.state.carried
  if (isDate(when)) {
    const found = await versionAt(shard, when)
    return typeof found === 'number' ? { state: await stateOf(shard, found), from: undefined } : pinned(shard, found)
  }
  required('at', when, 0)
  if (newest === 0 || when === 0 || when > shard.state.head) {
    throw new TidemarkError(
      'NOT_FOUND',
      `Store "${store}" has no version ${when}; its newest one is ${newest}${asKnown(shard)}.`,
    )
  }
  if (when < keeps) {
    // A tag that is over must not hide others of the same version.
    const now = nowIn(shard.context, shard)
    const pin = (await pinsOf(shard)).find((tag) => tag.kind === 'tag' && tag.version === when && !isOver(tag, now))
    if (pin === undefined) throw expired(store, when)
    return pinned(shard, pin)
  }
  const { version } = await carriedAt(shard, Math.min(when, newest))
  if (version === 0) {
    throw new TidemarkError('NOT_FOUND', `Version ${when} of store "${store}" is before its first commit.`)
  }
  return { state: await stateOf(shard, version), from: undefined }
}

async function findTag(shard: Shard, name: string): Promise<Found> {
  checkTagName(name)
  const pin = tagNamed(await pinsOf(shard), name, nowIn(shard.context, shard))
  if (pin === undefined) throw unknownTag(shard.context.store, name)
  return pinned(shard, pin)
}

async function pinned({ log }: Shard, pin: StoredPin): Promise<Found> {
  return { state: await stateOfPin(log.platform, pin, log.path), from: pin }
}

/** The totals that entry `n` carries, or the last one before it that carries any. */
async function carriedAt(shard: Shard, n: number): Promise<Carried> {
  const { carried } = (await readEntry(shard.context, shard.log, n)).entry
  return carried ?? carriedAt(shard, n - 1)
}

/** The newest version that was made up to then, by bisection: times never go back from entry to entry. Or the pin that has it. */
async function versionAt(shard: Shard, when: Date): Promise<number | StoredPin> {
  const { store } = shard.context
  const time = when.getTime()
  if (Number.isNaN(time)) throw invalid('at: the date is invalid.')
  const { keeps, trim, version: newest } = shard.state.carried
  const isLater = async (n: number): Promise<boolean> => (await carriedAt(shard, n)).versionTime > time
  let [low, high] = [Math.max(keeps, trim + 1), newest]
  if (keeps > 0 && (await isLater(keeps))) {
    // Between a thinned version and the end of its hour there was no other one. Of later moments nobody knows.
    const isIn = ({ versionTime: from }: StoredPin): boolean => from <= time && time < from - (from % HOUR) + HOUR
    const pin = (await pinsOf(shard)).find((other) => isThinned(other) && isIn(other))
    if (pin) return pin
    throw expired(store, when.toISOString())
  }
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (await isLater(middle)) high = middle - 1
    else low = middle
  }
  const { version, versionTime } = newest === 0 ? shard.state.carried : await carriedAt(shard, low)
  if (version > 0 && versionTime <= time) return version
  throw new TidemarkError('NOT_FOUND', `Store "${store}" had no version yet at ${when.toISOString()}${asKnown(shard)}.`)
}

/** Others may have written since. */
function asKnown({ context }: Shard): string {
  return context.isShared ? ', as far as this handle has looked; refresh() looks again' : ''
}

/** Like a store's name, with a letter in it: no tag reads as a version or a date. */
export function checkTagName(name: unknown): asserts name is string {
  checkStoreName(name)
  if (!/[a-z]/.test(name)) throw invalid(`${show(name)} has no letter; names of tags and forks have at least one.`)
}
