/** Finding a kept version by its number, by a tag, or as it was at a moment. */
import { isDate } from '../bytes/kinds.js'
import { invalid, show, TidemarkError } from '../errors.js'
import type { Carried } from '../log/entry.js'
import { checkStoreName } from '../manifest/names.js'
import { expired, readEntry, stateOf } from '../engine/history/past.js'
import { HOUR } from '../engine/gc/retention.js'
import { isOver, pinsOf, stateOfPin, tagNamed, unknownTag, type StoredPin } from '../engine/history/pins.js'
import { isThinned } from '../engine/history/thinned.js'
import type { Descendant, PastLog } from '../engine/shards/lineage.js'
import type { FoundAcross, InLog } from '../engine/shards/moments.js'
import { Part } from '../part.js'
import { nowIn } from './context.js'
import type { EpochEnd } from './epochs.js'
import { required } from './options.js'

/** A version by its number, by a tag, as it was at a moment, or when an epoch was over. */
export type When = number | string | Date | EpochEnd

/** A state of the past, and the pin that it was taken from where the log no longer has it. */
export type Found = FoundAcross

const moments = new Part(() => import('../engine/shards/moments.js'))
const epochs = new Part(() => import('./epochs.js'))

/** The state of a version that is kept, in the log of the handle or in those that it came of. */
export function findVersion(shard: Descendant, when: When): Promise<Found> {
  const isAlone = shard.state.of === undefined && shard.state.carried.own === undefined
  return isAlone ? findIn(shard, when) : moments.use((part) => part.findAcross(shard, when, findIn))
}

/** The same in one log. */
async function findIn(shard: PastLog, when: When): Promise<InLog> {
  if (typeof when === 'string') return findTag(shard, when)
  const { store } = shard.context
  const { keeps, version: newest } = shard.state.carried
  if (isDate(when)) {
    const found = await versionAt(shard, when)
    return typeof found === 'number' ? { state: await stateOf(shard, found), from: undefined } : pinned(shard, found)
  }
  if (isEpoch(when)) return epochs.use((part) => part.findEpoch(shard, when))
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

async function findTag(shard: PastLog, name: string): Promise<InLog> {
  checkTagName(name)
  const pin = tagNamed(await pinsOf(shard), name, nowIn(shard.context, shard))
  if (pin === undefined) throw unknownTag(shard.context.store, name)
  return pinned(shard, pin)
}

async function pinned({ log }: PastLog, pin: StoredPin): Promise<InLog> {
  return { state: await stateOfPin(log.platform, pin, log.path), from: pin }
}

/** The totals that entry `n` carries, or the last one before it that carries any. */
async function carriedAt(shard: PastLog, n: number): Promise<Carried> {
  const { carried } = (await readEntry(shard.context, shard.log, n)).entry
  return carried ?? carriedAt(shard, n - 1)
}

/** The newest version that was made up to then, by bisection: times never go back from entry to entry. Or the pin that has it. */
async function versionAt(shard: PastLog, when: Date): Promise<number | StoredPin> {
  const { store } = shard.context
  const time = when.getTime()
  if (Number.isNaN(time)) throw invalid('at: the date is invalid.')
  const { keeps, trim, version: newest } = shard.state.carried
  const isLater = async (n: number): Promise<boolean> => (await carriedAt(shard, n)).versionTime > time
  let [low, high] = [Math.max(keeps, trim + 1), newest]
  if (keeps > 0 && (keeps > shard.state.head || (await isLater(keeps)))) {
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
function asKnown({ context }: PastLog): string {
  return context.isShared ? ', as far as this handle has looked; refresh() looks again' : ''
}

/** Like a store's name, with a letter in it: no tag reads as a version or a date. */
export function checkTagName(name: unknown): asserts name is string {
  checkStoreName(name)
  if (!/[a-z]/.test(name)) throw invalid(`${show(name)} has no letter; names of tags and forks have at least one.`)
}

function isEpoch(when: number | EpochEnd): when is EpochEnd {
  return typeof when === 'object' && when !== null && Number.isFinite(when.epoch)
}
