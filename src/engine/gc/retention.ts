/** Retention: which versions a store keeps, and which entries these need. */
import type { Retain } from '../context.js'
import type { IndexedEntry } from './entry-index.js'

/**
 * The oldest version that the log keeps, and up to where entries may go: what it needs stays (R31), with one fold more for repairs
 * (R11). Versions from `until` on stay, whatever `retain` says.
 */
export function retained(
  entries: readonly IndexedEntry[],
  retain: Pick<Retain, 'versions' | 'ageMs'>,
  now: number,
  before: { readonly keeps: number; readonly trim: number },
  until = Infinity,
): { keeps: number; trim: number } {
  const versions = entries.filter(({ isVersion, n }) => isVersion && n >= before.keeps)
  const oldest = versions.at(-retain.versions)
  if (oldest === undefined) return before
  // A span of time has also the version with which it began.
  const first = versions.findLast(({ carried }) => carried!.time <= now - retain.ageMs)
  if (retain.ageMs > 0 && first === undefined) return before
  const wanted = retain.ageMs > 0 && first!.n < oldest.n ? first! : oldest
  const kept = wanted.n < until ? wanted : versions.find(({ n }) => n >= until)!
  const spare = entries.findLast(({ n, carried }) => n < kept.carried!.manifestAt && carried !== undefined)
  return { keeps: Math.max(before.keeps, kept.n), trim: Math.max(before.trim, spare?.carried?.covers ?? 0) }
}

export const HOUR = 3_600_000
const DAY = 24 * HOUR

/**
 * The numbers of the newest version of each of the last `hourly` hours and `daily` days of UTC: hours and days that have no version
 * do not count. Whoever knows only some of the versions finds at least those among them that others find who know all.
 * @param versions oldest first
 */
export function newestOfEach(
  versions: readonly { readonly n: number; readonly time: number }[],
  { hourly, daily }: Pick<Retain, 'hourly' | 'daily'>,
): Set<number> {
  const found = new Set<number>()
  for (const [ms, count] of [
    [HOUR, hourly],
    [DAY, daily],
  ] as const) {
    let last: number | undefined
    for (let [i, left] = [versions.length - 1, count]; i >= 0 && left > 0; i--) {
      const { n, time } = versions[i]!
      const period = Math.floor(time / ms)
      if (period === last) continue
      last = period
      left--
      found.add(n)
    }
  }
  return found
}
