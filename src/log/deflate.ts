/** Makes deltas shorter; delta.ts reads what comes of it. It is loaded where entries go over a network. */
import { ByteWriter } from '../bytes/writer.js'
import type { Platform } from '../storage/platform.js'
import { MOST_DEFLATED } from './delta.js'

/** So many bytes are worth the work. */
const WORTH = 1024
/** Sending takes longer than the best compression. */
const LEVEL = 6

/** The same delta in fewer bytes, where that can be had. */
export async function deflateDelta(platform: Platform, delta: Uint8Array): Promise<Uint8Array> {
  if (delta.length < WORTH || delta.length > MOST_DEFLATED) return delta
  const plain = delta.subarray(1)
  const w = new ByteWriter(delta.length)
  w.varint(plain.length)
  w.raw(await platform.deflate(plain, LEVEL))
  return w.length < delta.length ? w.finish() : delta
}
