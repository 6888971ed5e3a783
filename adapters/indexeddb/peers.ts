/// <reference lib="dom" />
/**
 * Reaches other tabs and workers of the origin through the browser. Where the browser has no means for it, everybody is alone.
 */
import type { Peers } from '../../src/storage/contract.js'

export function peers(database: string): Peers {
  const nameOf = (path: string): string => `tidemark:${database}:${path}`
  return {
    channel(path, heard) {
      if (globalThis.BroadcastChannel === undefined) return { tell() {}, close() {} }
      const channel = new BroadcastChannel(nameOf(path))
      channel.addEventListener('message', heard)
      // In Node the channel would keep a process alive that has nothing else to do.
      ;(channel as { unref?: () => void }).unref?.()
      return {
        tell: () => channel.postMessage(null),
        close: () => channel.close(),
      }
    },
    async alone(path, act) {
      const locks = globalThis.navigator?.locks
      if (locks === undefined) return act()
      return locks.request(nameOf(path), { ifAvailable: true }, async (lock) => (lock ? act() : undefined))
    },
  }
}
