/**
 * Takes a control store that is damaged out of the way, so that it is made anew: all that it says follows from the logs of the shards, or
 * comes again with the members (G7).
 */
import { TOMBSTONE, isTombstone } from '../log/tombstone.js'
import { anchorPath, shardPath } from '../manifest/names.js'
import type { Storage } from '../storage/contract.js'
import { pagesOf } from '../storage/pages.js'

/** An anchor as it was found before its store turned out to be damaged. */
export interface SeenAnchor {
  readonly bytes: Uint8Array | undefined
  readonly token: string | undefined
}

/** Resolves with whether it is gone: not if it is another one by now, or nobody knows. */
export async function removeControl(
  storage: Storage,
  { name, folder }: { readonly name: string; readonly folder: string },
  seen: SeenAnchor,
): Promise<boolean> {
  const anchor = storage.anchor(anchorPath(name, folder))
  // From here on nobody writes to it, or opens what is left. Whoever was cut off here is followed by the next one.
  if (!isTombstone(seen.bytes)) {
    const { outcome } = await anchor.swap(seen.token, TOMBSTONE.bytes, TOMBSTONE.trim)
    if (outcome !== 'committed') return false
  }
  const prefix = `${shardPath(name, folder)}/`
  for (const path of (await storage.logs(prefix)).paths) await storage.log(path).destroy()
  for await (const { items } of pagesOf(storage.blobs, prefix)) {
    if (items.length > 0) await storage.blobs.delete(items.map((item) => item.name))
  }
  if (!isTombstone((await anchor.read()).bytes)) return false
  await anchor.remove()
  return true
}
