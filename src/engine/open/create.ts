/** Creating a store: its log, with entry 1, and the anchor that names it. */
import { equalBytes } from '../../bytes/compare.js'
import { readAnchor } from '../../log/anchor.js'
import { anchorAfter, encodeAnchor } from '../../log/raise.js'
import { landed, unknownOutcome } from '../../log/append.js'
import { ID_BYTES, type WriteMode } from '../../log/entry.js'
import type { Edit } from '../../manifest/edits.js'
import type { StoreConfig } from '../../manifest/manifest.js'
import { shardPath } from '../../manifest/names.js'
import type { Anchor } from '../../storage/contract.js'
import { probe } from '../../storage/probe.js'
import { anchorName, closeLog, moment, noteTime, openLog, type ShardContext } from '../context.js'
import { buildEntry, type EntryChange } from '../entry-builder.js'
import { applyEntry, emptyState, type OpenedLog } from '../state.js'
import { sendEntry } from '../write/send.js'

const SWAP_TRIES = 8

export function createStore(
  ctx: ShardContext,
  anchor: Anchor,
  config: StoreConfig,
  mode: WriteMode,
  seenAt: number | undefined,
): Promise<OpenedLog | undefined> {
  // A fold of nothing: it carries the configuration and no segment.
  const edits: Edit[] = [{ kind: 'fold', from: 0, covers: 0, runs: [], codecs: new Map() }]
  // The storage's time where it has one: no later entry has a lower one, so a wrong clock here would hold up all that follow.
  const time = seenAt === undefined ? config.created : Math.floor(seenAt)
  return createLog(ctx, anchor, undefined, config, { kind: 'fence', mode, time, edits })
}

/**
 * Writes entry 1 of a log with an id of its own (R23), then the anchor that names it: a crash between the two leaves a log
 * from which the anchor is rebuilt.
 * `undefined` when another creator was quicker. `begun` is called when entry 1 is there, or may be: what fails after that, for
 * want of room say, the next opener finishes, and nothing may be taken away that the entry names.
 */
export async function createLog(
  ctx: ShardContext,
  anchor: Anchor,
  logId: Uint8Array | undefined,
  config: StoreConfig,
  change: EntryChange,
  begun: () => void = () => {},
): Promise<OpenedLog | undefined> {
  await probe(ctx.storage, shardPath(ctx.store, ctx.shard), ctx.clock, ctx.probed)
  const log = openLog(ctx, anchor, logId ?? ctx.clock.random(ID_BYTES))
  const what = `store "${ctx.store}" was created; open it again.`
  const nothing = emptyState(log.logId, 0, config)
  try {
    const first = await buildEntry(log, nothing, change)
    const resolution = await sendEntry(ctx, log, 0, first)
    begun()
    const made = landed(resolution, what)
    // Somebody has given this creator up, or has finished its work.
    if (made === undefined) throw unknownOutcome(what)
    noteTime(ctx, log, made.time)
    // Nobody knows of the log before the anchor names it.
    log.free = moment(ctx, log)
    const state = applyEntry(nothing, first)
    const value = anchorAfter(log.logId, state.carried)
    // A swap of unknown outcome may still land, and then it is our own that is found, or that is in the way of the next.
    for (let tries = SWAP_TRIES; tries > 0; tries--) {
      const swapped = await anchor.swap(undefined, encodeAnchor(value), value.trim)
      if (swapped.outcome === 'committed') return { context: ctx, log, state }
      const there = await readAnchor(anchor, anchorName(ctx))
      if (there.value === undefined) continue
      if (equalBytes(there.value.logId, log.logId)) return { context: ctx, log, state }
      // Another creator's log is named: nobody will ever look at this one.
      await log.log.destroy()
      await closeLog(ctx, log)
      return undefined
    }
    throw unknownOutcome(what)
  } catch (error) {
    await closeLog(ctx, log)
    throw error
  }
}
