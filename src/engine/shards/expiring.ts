/** When the versions of a sealed log expire, and which of them stay thinned: pure decisions. */
import type { Retain } from '../context.js'
import { newestOfEach } from '../gc/retention.js'
import type { Dated, Offspring } from './offspring.js'

/** Whether a log alone has the versions that `retain` asks for, so that those of before it are not needed for that. */
export function hasEnough(
  { versions: all, keeps, first }: Pick<Offspring, 'versions' | 'keeps' | 'first'>,
  { versions: count, ageMs }: Pick<Retain, 'versions' | 'ageMs'>,
  now: number,
): boolean {
  // It had enough when it let go of its own oldest ones.
  if (keeps > first) return true
  const versions = all.filter(({ n }) => n >= keeps)
  // A span of time has also the version with which it began.
  return versions.length >= count && (ageMs === 0 || versions.some(({ time }) => time <= now - ageMs))
}

/**
 * The versions of a sealed log that are the newest of their hour or day for one of the logs that came of it, as far as that is kept.
 * Logs between the two are left out: whoever knows only some of the versions finds no fewer.
 */
export function wantedOf(own: readonly Dated[], living: readonly Offspring[], retain: Retain): ReadonlySet<number> {
  const wanted = new Set<number>()
  for (const { versions, thinned } of living) {
    const all = [...own, ...versions, ...thinned].sort((a, b) => a.n - b.n)
    for (const n of newestOfEach(all, retain)) wanted.add(n)
  }
  return wanted
}
