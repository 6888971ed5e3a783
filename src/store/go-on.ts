/** Where an iteration goes on when what it reads turned out to be damaged, or was collected. */
import { compareBytes } from '../bytes/compare.js'
import { isExpired } from '../errors.js'
import type { Bounds } from '../segment/cursor.js'
import { isWithin, type KeyedRecord } from '../segment/record.js'
import type { Taken, View } from '../engine/read.js'
import { prefixed, type Slot } from '../engine/slot.js'

/** The state to go on with: repaired, or for what has shown nothing yet the present one, which is noted in the very turn. */
export async function viewAfter(
  host: { view(): View; repair(view: View, error: unknown): Promise<View> },
  before: View,
  error: unknown,
  last: KeyedRecord | undefined,
  note: () => void,
): Promise<View> {
  try {
    return await host.repair(before, error)
  } catch (failure) {
    const present = host.view()
    // It was collected, and the handle has caught up since; but what was shown of it stands for no other state.
    if (!isExpired(failure) || last !== undefined || present.state === before.state) throw failure
    note()
    return { ...present, memtables: before.memtables }
  }
}

/** The rest of each slot, behind the last record. */
export function rest(
  slots: readonly Slot[],
  all: readonly Bounds[],
  taken: readonly Taken[],
  last: KeyedRecord | undefined,
): { readonly bounds: readonly Bounds[]; readonly memtables: readonly Taken[] } {
  const bounds = all.map((each, i) => (last ? behind(each, slots[i]!, last) : each))
  return {
    bounds,
    memtables: taken.map((each, i) =>
      each.map(({ records, ranges }) => ({
        records: records.filter(({ key }) => isWithin(key, bounds[i]!)),
        ranges,
      })),
    ),
  }
}

/** The bounds of what comes after a record, which may be of another partition. */
function behind(bounds: Bounds, { prefix }: Slot, { key }: KeyedRecord): Bounds {
  const at = prefixed(prefix, key.subarray(prefix.length))
  if (bounds.reverse) return { ...bounds, upper: compareBytes(at, bounds.upper) < 0 ? at : bounds.upper }
  // The least key above it.
  const next = prefixed(at, new Uint8Array(1))
  return { ...bounds, lower: compareBytes(next, bounds.lower) > 0 ? next : bounds.lower }
}
