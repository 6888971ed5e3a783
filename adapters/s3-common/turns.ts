/** Limits how many requests are under way at once. */
import { Turns } from '../../src/storage/turns.js'

/** How many in a worker of Cloudflare. It has six connections, and one is left to commits, which wait for no turn. */
const IN_WORKERS = 5

/**
 * Turns for one handle, in a worker. A handle belongs to one request of the worker there, which may be given up at any moment,
 * and no other request may wait for it.
 */
export const ownTurns = (): Turns => new Turns(IN_WORKERS)

/** Turns that all handles on one storage share, elsewhere. */
export function sharedTurns(most: number): () => Turns {
  if (globalThis.navigator?.userAgent === 'Cloudflare-Workers') return ownTurns
  const turns = new Turns(most)
  return () => turns
}
