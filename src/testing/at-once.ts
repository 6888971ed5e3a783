import * as pure from '../bytes/pure.js'
import type { Storage } from '../storage/contract.js'

/** The same storage, with a hash and a decompression that answer at once. Those of the platform take real time. */
export function atOnce(storage: Storage): Storage {
  return { ...storage, capabilities: { ...storage.capabilities, platform: pure } }
}
