/**
 * A lease: the small object by which a member shows that it lives (docs/format.md, "Leases"). It lies under the member's own
 * id, and is replaced by compare and swap: by its member, who renews it, and once by whoever buries that member.
 */
import { seal, unseal } from '../bytes/envelope.js'
import { ByteReader } from '../bytes/reader.js'
import { ByteWriter } from '../bytes/writer.js'
import { fromHex, toHex } from '../bytes/hex.js'
import type { Clock } from '../clock.js'
import { unsupported } from '../errors.js'
import type { Anchor, Storage } from '../storage/contract.js'
import { deadlines } from '../storage/deadlines.js'
import { intercept } from '../storage/intercept.js'

export const MEMBER_BYTES = 16
const RANDOM_BYTES = 16
const DEAD = 1
/** The longest that a timer can wait. */
export const LONGEST_LEASE = 2 ** 31 - 1

export interface Lease {
  /** 32 hex digits. */
  readonly member: string
  /** How many renewals its member has written before this one. */
  readonly counter: number
  /** Drawn for each renewal, so that no two have the same bytes, whoever writes them. */
  readonly random: Uint8Array
  /** The member renews three times in so many milliseconds. */
  readonly leaseMs: number
  /** It was buried: nobody renews it any more. */
  readonly isDead: boolean
}

export function encodeLease({ member, counter, random, leaseMs, isDead }: Lease): Uint8Array {
  const w = new ByteWriter(64)
  w.raw(fromHex(member))
  w.varint(counter)
  w.raw(random)
  w.varint(leaseMs)
  w.u8(isDead ? DEAD : 0)
  return seal('lease', w.finish())
}

export function decodeLease(bytes: Uint8Array, what: string): Lease {
  const r = new ByteReader(unseal('lease', bytes, what), what)
  const member = toHex(r.raw(MEMBER_BYTES))
  const counter = r.varint()
  const random = r.raw(RANDOM_BYTES)
  const leaseMs = r.varint()
  const flags = r.u8()
  if (flags > DEAD) throw unsupported(`${what} holds flags ${flags}`)
  if (leaseMs < 1 || leaseMs > LONGEST_LEASE) r.fail(`a lease of ${leaseMs} ms`)
  r.end()
  return { member, counter, random, leaseMs, isDead: flags === DEAD }
}

export function newRandom(clock: Clock): Uint8Array {
  return clock.random(RANDOM_BYTES)
}

export function leasePath(store: string, member: string): string {
  return `${store}/${member}/anchor`
}

/** Where the leases of a group lie, and how long they are. */
export interface LeasePlace {
  readonly storage: Storage
  readonly store: string
  /** How long a lease is taken to be that does not say it itself. */
  readonly leaseMs: number
  readonly clock: Clock
}

/**
 * The lease of a member. A call that hangs must not take leases along, and ends soon. None waits for a turn behind what else this
 * process asks of the storage: who is busy would lose its lease, and find others dead too late.
 */
export function leaseOf({ storage, store, leaseMs, clock }: LeasePlace, member: string): Anchor {
  const capabilities = { ...storage.capabilities, turns: undefined }
  const atOnce = { ...intercept(storage, ({ signal }, run) => run(signal)), capabilities }
  return deadlines(atOnce, { clock, timeoutMs: Math.ceil(leaseMs / 6) }).anchor(leasePath(store, member))
}

/** Removes the lease of who is no member any more: who left, or was buried. Its member, if it lives after all, finds it gone. */
export async function removeLease(place: LeasePlace, member: string): Promise<void> {
  await leaseOf(place, member).remove()
}
