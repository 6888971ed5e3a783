/** How many requests are under way at once. */
import { Turns } from '../../src/storage/turns.js'

/** A worker of Cloudflare has six connections; one is left to commits, which wait for no turn. */
const IN_WORKERS = 5

/**
 * There each handle has turns of its own: they belong to one request, which may be given up at any moment, and no other may
 * wait for it.
 */
export const ownTurns = (): Turns => new Turns(IN_WORKERS)

/** Elsewhere the handles on one storage share them. */
export function sharedTurns(most: number): () => Turns {
  if (globalThis.navigator?.userAgent === 'Cloudflare-Workers') return ownTurns
  const turns = new Turns(most)
  return () => turns
}
