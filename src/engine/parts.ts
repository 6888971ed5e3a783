/** The parts of a shard that are loaded when they are first needed. */
import { Part } from '../part.js'

/** Folding and merging: everything that writes segments. */
export const rewriting = new Part('checkpoints', () => import('./compaction/compactor.js'))
/** Catching up with other writers, and writing beside them. */
export const following = new Part('following', () => import('./write/contention.js'))
export const collecting = new Part('collection', () => import('./gc/scheduler.js'))
export const mending = new Part('repair', () => import('./repair/repairer.js'))

/** In shared mode it is there. */
export function sharing(): NonNullable<typeof following.loaded> {
  return following.loaded!
}
