/** The parts of a shard that are loaded when they are first needed. */
import { Part } from '../part.js'

/** Folding and merging: everything that writes segments. */
export const rewriting = new Part('checkpoints', () => import('./folding.js'))
/** Catching up with other writers, and writing beside them. */
export const following = new Part('following', () => import('./sharing.js'))
export const settling = new Part('files', () => import('./settle.js'))
/** What may be lost of a log. */
export const losing = new Part('finding lost entries', () => import('./lost-log.js'))
export const creating = new Part('creating stores', () => import('./create.js'))
export const collecting = new Part('collection', () => import('./collecting.js'))
export const mending = new Part('repair', () => import('./mending.js'))

/** In shared mode it is there. */
export function sharing(): NonNullable<typeof following.loaded> {
  return following.loaded!
}
