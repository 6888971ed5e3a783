/**
 * The parts of an entry that concern shards (docs/format.md, "Entries"): the seal that ends a log and names its successors, which
 * partitions a log has and where it comes from, and whose turn it is to own it.
 */
import type { ByteReader } from '../bytes/reader.js'
import { MAX_PARTITIONS } from './delta.js'

const ID = 16

/** A log of these partitions. */
export interface Child {
  readonly logId: Uint8Array
  readonly first: number
  readonly last: number
}

/** The last entry of a log that counts: it names what follows on it (S1, S2). */
export interface Seal {
  /** The id of the plan, which all of its parents carry. */
  readonly plan: Uint8Array
  /** Ids of the logs that the plan turns into its children, in the order of their partitions. */
  readonly parents: readonly Uint8Array[]
  /** In the order of their partitions, of which they leave none out. */
  readonly children: readonly Child[]
  /** The id of the log in which this parent goes on by itself, should the plan not hold (S5). */
  readonly fallback: Uint8Array
  readonly graceMs: number
}

/** A log that came of others. */
export interface Own {
  readonly first: number
  readonly last: number
  /** The logs that it came of, and the numbers of their seals; none once they are gone. */
  readonly parents: readonly { readonly logId: Uint8Array; readonly n: number }[]
}

/** Whose turn it is to own the shard. */
export interface Turn {
  readonly generation: number
  readonly member: Uint8Array
  /** The owner has let go of it. */
  readonly isReleased: boolean
  /** The owner may be the next that the next event kills. */
  readonly isTrial: boolean
}

export const RELEASED = 1
export const TRIAL = 2

export function readSeal(r: ByteReader): Seal {
  const plan = r.raw(ID)
  const parents = Array.from({ length: r.count(ID) }, () => r.raw(ID))
  const children = Array.from({ length: r.count(ID + 2) }, () => readChild(r))
  const isTiled = children.every(({ first }, i) => i === 0 || first === children[i - 1]!.last + 1)
  if (parents.length === 0 || children.length === 0 || !isTiled) r.fail('an impossible seal')
  return { plan, parents, children, fallback: r.raw(ID), graceMs: r.varint() }
}

export function readChild(r: ByteReader): Child {
  return { logId: r.raw(ID), ...readRange(r) }
}

export function readOwn(r: ByteReader): Own {
  const range = readRange(r)
  return { ...range, parents: Array.from({ length: r.count(ID + 1) }, () => ({ logId: r.raw(ID), n: r.varint() })) }
}

export function readTurn(r: ByteReader): Turn {
  const [generation, member, flags] = [r.varint(), r.raw(ID), r.u8()]
  if (flags > (RELEASED | TRIAL)) r.fail('an impossible turn')
  return { generation, member, isReleased: (flags & RELEASED) !== 0, isTrial: (flags & TRIAL) !== 0 }
}

function readRange(r: ByteReader): { first: number; last: number } {
  const [first, last] = [r.varint(), r.varint()]
  if (first > last || last >= MAX_PARTITIONS) r.fail('impossible partitions')
  return { first, last }
}
