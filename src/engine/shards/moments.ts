/**
 * Versions from before a seal: what a log no longer has, or never had, is looked for in the logs that it came of. Several of them had
 * numbers of their own, so that a number is no moment of all of them; a time is, and so is a tag that all of them have.
 */
import { isDate } from '../../bytes/kinds.js'
import { equalBytes } from '../../bytes/compare.js'
import { invalid, isExpired, isTidemarkError, type TidemarkError } from '../../errors.js'
import { overlap } from '../../manifest/clip.js'
import { expired, soundest } from '../history/past.js'
import type { StoredPin } from '../history/pins.js'
import type { ShardState, StatePart } from '../state.js'
import { compose } from './composed.js'
import { rangeOf, type Range } from './end.js'
import { lineageOf, ownLogs, type Descendant, type Kin, type PastLog } from './lineage.js'
import { overlaps } from './succession.js'

/** A version as it was found in one log, and the pin that it was taken from. */
export interface InLog {
  readonly state: ShardState
  readonly from: StoredPin | undefined
}

export type When = number | string | Date | { readonly epoch: number }
export type FindIn = (log: PastLog, when: When) => Promise<InLog>

/** A part of a version, from the log that it is kept in. */
export interface FoundPart extends StatePart, InLog {
  readonly of: PastLog
}

export interface FoundAcross extends InLog {
  /** Left out: it is a version of the handle's own log, of all its partitions. */
  readonly parts?: readonly FoundPart[]
}

/** Finds a version for a handle whose log came of others, or that follows several. */
export async function findAcross(shard: Descendant, when: When, find: FindIn): Promise<FoundAcross> {
  const parts = typeof when === 'number' ? [await byNumber(shard, when, find)] : await byMoment(shard, when, find)
  const [first] = parts
  if (parts.length === 1 && first!.of === shard) return { state: first!.state, from: first!.from }
  const sound = await Promise.all(
    parts.map(async (part) => ({ ...part, state: part.from ? await soundest(part.of, part.state) : part.state })),
  )
  return { state: compose(sound), from: undefined, parts: sound }
}

/** The first number of a log. */
function firstOf({ carried: { own } }: ShardState): number {
  return 1 + Math.max(0, ...(own?.parents.map(({ n }) => n) ?? []))
}

async function byNumber(shard: Descendant, n: number, find: FindIn): Promise<FoundPart> {
  const { store } = shard.context
  const logs = ownLogs(shard)
  if (logs.length > 1) throw noMoment(store, n, 'has several shards, each with numbers of its own')
  const [log] = logs as [PastLog]
  const range = rangeOf(log.state)
  if (!(n > 0) || n >= firstOf(log.state)) return { of: log, ...range, ...(await find(log, n)) }
  let [kin] = (await lineageOf(shard)) as [Kin]
  for (;;) {
    const parents = kin.parents.filter((parent) => overlaps(parent, range))
    if (parents.length > 1) throw noMoment(store, n, 'was merged of several shards since, each with numbers of its own')
    if (parents.length === 0) throw expired(store, n)
    kin = parents[0]!
    const past = await kin.open()
    // All of it may be gone but its tags; then the logs before it may have one.
    const isHere = n >= firstOf(past.state) && (past.state.carried.keeps <= n || kin.parents.length === 0)
    if (isHere) return { of: past, ...range, ...(await find(past, Math.min(n, kin.sealedAt!))) }
    if (n < firstOf(past.state)) continue
    const found = await find(past, Math.min(n, kin.sealedAt!)).catch((error: unknown) => {
      if (!isExpired(error)) throw error
    })
    if (found) return { of: past, ...range, ...found }
  }
}

function noMoment(store: string, n: number, why: string): TidemarkError {
  return invalid(
    `Version ${n}: store "${store}" ${why}, so that a number is no moment of it. Give a Date or a tag, or open one of the shards.`,
  )
}

async function byMoment(shard: Descendant, when: Exclude<When, number>, find: FindIn): Promise<readonly FoundPart[]> {
  let lineage: Promise<readonly Kin[]> | undefined
  const found = new Map<PastLog, Promise<InLog>>()
  const gather = async (log: PastLog, range: Range, kinOf: () => Promise<Kin>): Promise<readonly FoundPart[]> => {
    const finding = found.get(log) ?? find(log, when)
    found.set(log, finding)
    try {
      return [{ of: log, ...range, ...(await finding) }]
    } catch (error) {
      if (!isTidemarkError(error) || (error.code !== 'NOT_FOUND' && !isExpired(error))) throw error
      const { parents } = await kinOf()
      const mine = await Promise.all(
        parents.filter((kin) => overlaps(kin, range)).map(async (kin) => ({ kin, past: await kin.open() })),
      )
      if (mine.length === 0 || mine.some(({ past }) => isAfter(past.state, when, error))) throw error
      const parts = mine.map(({ kin, past }) => {
        const [first, last] = overlap([kin.first, kin.last], [range.first, range.last])!
        return gather(past, { first, last }, () => Promise.resolve(kin))
      })
      return (await Promise.all(parts)).flat()
    }
  }
  const parts = await Promise.all(
    ownLogs(shard).map((log, at) =>
      gather(log, rangeOf(log.state), async () => (await (lineage ??= lineageOf(shard)))[at]!),
    ),
  )
  return joined(parts.flat())
}

/** Whether what a log no longer has came after the seal of one before it: that has nothing of it. */
function isAfter({ carried }: ShardState, when: Exclude<When, number>, error: unknown): boolean {
  return isDate(when) && isExpired(error) && carried.time > 0 && carried.time <= when.getTime()
}

/** Neighbours of one version are one part. */
function joined(parts: readonly FoundPart[]): readonly FoundPart[] {
  const all: FoundPart[] = []
  for (const part of parts.toSorted((a, b) => a.first - b.first)) {
    const before = all.at(-1)
    const isSame =
      before?.from?.blob === part.from?.blob &&
      before?.state.carried.version === part.state.carried.version &&
      equalBytes(before.of.log.logId, part.of.log.logId)
    if (before && isSame) all[all.length - 1] = { ...before, last: part.last }
    else all.push(part)
  }
  return all
}
