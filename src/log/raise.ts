/** Writes anchors: a new one, or one that is raised. It is loaded with the first. */
import { equalBytes } from '../bytes/compare.js'
import { seal, SEALED_VERSION } from '../bytes/envelope.js'
import { ByteWriter } from '../bytes/writer.js'
import type { Anchor, CallOptions } from '../storage/contract.js'
import { readAnchor, type AnchorValue } from './anchor.js'
import type { Carried } from './entry.js'

/** The anchor that an entry calls for by its header. */
export function anchorAfter(logId: Uint8Array, { trim, manifestAt, covers, time }: Carried): AnchorValue {
  return { logId, trim, manifestAt, covers, time }
}

export function encodeAnchor(value: AnchorValue): Uint8Array {
  const w = new ByteWriter(64)
  w.raw(value.logId)
  w.varint(value.trim)
  w.varint(value.manifestAt)
  w.varint(value.covers)
  w.varint(value.time)
  if (value.sealed === undefined) return seal('anchor', w.finish())
  w.raw(value.sealed)
  return seal('anchor', w.finish(), SEALED_VERSION)
}

/** Takes the later of two values in every field: trim number and hint never go back. `undefined` when the logs differ. */
function laterAnchor(a: AnchorValue, b: AnchorValue): AnchorValue | undefined {
  if (!equalBytes(a.logId, b.logId)) return undefined
  const hint = a.manifestAt >= b.manifestAt ? a : b
  return { ...hint, sealed: a.sealed, trim: Math.max(a.trim, b.trim), time: Math.max(a.time, b.time) }
}

const SWAP_TRIES = 4

/**
 * Raises the anchor to at least `wanted`, in as many swaps as it takes, up to four. Resolves with what is known to be
 * there, or `undefined` when the swaps stayed without a known result or the anchor names another log.
 */
export async function raiseAnchor(
  anchor: Anchor,
  what: string,
  wanted: AnchorValue,
  options: CallOptions = {},
): Promise<AnchorValue | undefined> {
  for (let left = SWAP_TRIES; left > 0; left--) {
    const found = await readAnchor(anchor, what, options)
    const target = found.value ? laterAnchor(found.value, wanted) : wanted
    if (target === undefined) return undefined
    if (found.value && found.value.trim === target.trim && found.value.manifestAt >= target.manifestAt)
      return found.value
    const { outcome } = await anchor.swap(found.token, encodeAnchor(target), target.trim, options)
    if (outcome === 'committed') return target
  }
  return undefined
}
