/** Walks the records of a slot, one after another. */
import type { Bounds } from '../../segment/cursor.js'
import { isWithin, type KeyedRecord } from '../../segment/record.js'
import type { View } from '../../engine/read.js'
import { scan } from '../../engine/scan.js'
import type { Slot } from '../../engine/slot.js'

/** The records of a slot within bounds, until `visit` says that it is enough. */
export async function each(
  view: View,
  slot: Slot,
  bounds: Bounds,
  visit: (record: KeyedRecord) => boolean | Promise<boolean>,
): Promise<void> {
  const cursor = await scan(view, slot, bounds)
  for (;;) {
    const loading = cursor.next()
    if (loading) await loading
    const record = cursor.current
    if (record === undefined || !isWithin(record.key, bounds)) return
    const goesOn = visit(record)
    if (!(typeof goesOn === 'boolean' ? goesOn : await goesOn)) return
  }
}
