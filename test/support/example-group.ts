/** A golden set of what a group writes beside its stores: leases. */
import { memory } from 'tidemark/memory'
import { encodeLease, leasePath } from '../../src/group/lease.js'
import { toHex } from '../../src/bytes/hex.js'
import type { Example } from './example.js'

/** A living member and a dead one. */
export async function writeLeases(): Promise<Example> {
  const storage = memory()
  const objects = new Map<string, Uint8Array>()
  for (const [i, isDead] of [false, true].entries()) {
    const member = toHex(new Uint8Array(16).fill(i + 1))
    const random = new Uint8Array(16).fill(i + 16)
    const lease = encodeLease({ member, counter: 300 * i + 1, random, leaseMs: 15_000, isDead })
    const anchor = storage.anchor(leasePath('group', member))
    await anchor.swap(undefined, lease, 0)
    objects.set(leasePath('group', member), (await anchor.read()).bytes!)
  }
  return { storage, objects }
}
