/** Changes of a memtable as entries and pins store them. It is loaded with the first write. */
import { DeltaWriter } from '../log/delta-writer.js'
import { Part } from '../part.js'
import type { Platform } from '../storage/platform.js'
import { ownBounds, type Memtable } from './memtable.js'

const deflating = new Part(() => import('../log/deflate.js'))

/** The changes of a memtable as a delta; every point must have its bytes. */
export function encodeDelta(memtable: Memtable): Uint8Array {
  const { slots } = memtable
  const delta = new DeltaWriter(slots.size, memtable.bytes + 64)
  for (const { slot, codec, points, ranges } of slots.values()) {
    delta.group(slot.partition, slot.table, codec, ranges.length + points.size)
    for (const range of ranges) {
      const { lower, upper } = ownBounds(slot, range)
      delta.range(lower, upper)
    }
    for (const [key, point] of points) {
      if (point.deleted) delta.delete(key)
      else delta.put(key, point, point.expires)
    }
  }
  return delta.finish()
}

/** The same as they are stored, if there are any. */
export async function storedDelta(
  { platform, deflates }: { readonly platform: Platform; readonly deflates: boolean },
  memtable: Memtable,
): Promise<Uint8Array | undefined> {
  if (memtable.empty) return undefined
  const delta = encodeDelta(memtable)
  if (!deflates) return delta
  // It is good as it is, should this fail.
  return deflating.use((part) => part.deflateDelta(platform, delta)).catch(() => delta)
}
