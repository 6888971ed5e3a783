/** Where sources stand after a commit. What only merged shards need is loaded when one is written. */
import { mergeOffsets } from '../../log/merge-offsets.js'
import type { Standing } from '../../log/spans.js'
import { Part } from '../../part.js'
import type { CommitRequest } from './requests.js'

const spanning = new Part(() => import('../shards/spans.js'))

type Asked = Pick<CommitRequest, 'offsets' | 'moved' | 'force'>

/** Throws when the offsets surely go back; of positions that differ between partitions that is found out when the entry is built. */
export function checkOffsets({ offsets, spans }: Standing, asked: Asked): void {
  if (spans.size === 0) mergeOffsets(offsets, asked.offsets, asked.force)
}

/** Throws when offsets go back. */
export function standingAfter(before: Standing, asked: Asked): Pick<Standing, 'offsets'> | Promise<Standing> {
  const { offsets, moved, force } = asked
  if (before.spans.size === 0 && moved === undefined) return { offsets: mergeOffsets(before.offsets, offsets, force) }
  return spanning.use((part) => (moved ? part.movedTo(before, moved) : part.laidOver(before, offsets, force)))
}
