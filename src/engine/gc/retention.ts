/** Retention: which versions a store keeps, and which entries these need. */
import type { IndexedEntry } from './entry-index.js'

/** The oldest version to keep, and up to where entries may go: what it needs stays (R31), with one fold more for repairs (R11). */
export function retained(
  entries: readonly IndexedEntry[],
  retain: { readonly versions: number; readonly ageMs: number },
  now: number,
  before: { readonly keeps: number; readonly trim: number },
): { keeps: number; trim: number } {
  const versions = entries.filter(({ isVersion, n }) => isVersion && n >= before.keeps)
  const oldest = versions.at(-retain.versions)
  if (oldest === undefined) return before
  // A span of time has also the version with which it began.
  const first = versions.findLast(({ carried }) => carried!.time <= now - retain.ageMs)
  if (retain.ageMs > 0 && first === undefined) return before
  const kept = retain.ageMs > 0 && first!.n < oldest.n ? first! : oldest
  const spare = entries.findLast(({ n, carried }) => n < kept.carried!.manifestAt && carried !== undefined)
  return { keeps: Math.max(before.keeps, kept.n), trim: Math.max(before.trim, spare?.carried?.covers ?? 0) }
}
