/**
 * Looks into what may be lost of a store: its anchor, entries, the whole log. Nothing is written here, so that what is put back finds
 * everything as it was.
 */
import { equalBytes } from '../../bytes/compare.js'
import { corrupt } from '../../errors.js'
import { readAnchor, type AnchorReading, type AnchorValue } from '../../log/anchor.js'
import { anchorAfter } from '../../log/raise.js'
import { decodeEntry } from '../../log/entry.js'
import { comingPrefix, gonePrefix, logIdOfComing, logIdOfPath, shardOfLog } from '../../manifest/listed-names.js'
import { logPath, shardPath } from '../../manifest/names.js'
import { Part } from '../../part.js'
import type { Anchor, BlobInfo } from '../../storage/contract.js'
import { pagesOf } from '../../storage/pages.js'
import { isProbe } from '../../storage/probe-name.js'
import { anchorName, closeLog, openLog, type LogContext, type ReadContext } from '../context.js'
import { parseEntry } from '../state.js'

export { settleHistory } from './handover.js'

const rebuilding = new Part(() => import('../shards/lost-root.js'))

const TRIES = 4
/** A shard that came of the root. */
const CHILD = /^[0-9a-f]{32}$/

/** Where the history is read from: the anchor's hint. */
export type Hint = AnchorValue & {
  /** The anchor is gone: this is what it has to say, and nobody has written that. */
  readonly isRebuilt?: boolean
}

export type Found = AnchorReading & { readonly value: Hint | undefined }

/** Looks for a store without an anchor (R29). */
export async function findWithoutAnchor(ctx: ReadContext, anchor: Anchor): Promise<Found> {
  for (let tries = TRIES; ; tries--) {
    const reading = await readAnchor(anchor, anchorName(ctx))
    if (reading.value) return reading
    // Logs that came of the root lie beside it.
    const { paths } = await ctx.storage.logs(
      ctx.shard === undefined ? `${ctx.store}/` : `${shardPath(ctx.store, ctx.shard)}/`,
    )
    try {
      // An interrupted probe may have left a log behind, which is no store.
      const own = paths.filter((path) => logIdOfPath(ctx.store, path, ctx.shard) !== undefined)
      const isSplit = ctx.shard === undefined && paths.some((path) => CHILD.test(shardOfLog(path)))
      const value = isSplit
        ? await rebuilding.use((part) => part.rootOf(ctx, paths, () => anchorOf(ctx, anchor, own)))
        : await anchorOf(ctx, anchor, own)
      if (value) return { ...reading, value: { ...value, isRebuilt: true } }
      await assertNothingLeft(ctx)
      return reading
    } catch (error) {
      // Creators that race clear away what nobody has named, or have just begun: then the anchor is there by now.
      if (tries === 1) throw error
    }
  }
}

/** Whether the anchor that led to a history says something else by now. */
export async function hasMoved(ctx: ReadContext, log: LogContext, hint: Hint): Promise<boolean> {
  const { value } = await readAnchor(log.anchor, anchorName(ctx))
  if (!value) return !hint.isRebuilt
  // What was sealed meanwhile may be trimmed up to its end (S6).
  if (value.sealed && !hint.sealed) return true
  return !equalBytes(value.logId, hint.logId) || value.manifestAt !== hint.manifestAt
}

/** Ids of the logs that pushes were, or are, about to create. */
export async function listComing({ storage, store }: ReadContext): Promise<Uint8Array[]> {
  const { items } = await storage.blobs.list(comingPrefix(store))
  return items.flatMap(({ name }) => logIdOfComing(name) ?? [])
}

/** Segments without a log are what is left of a store: making a new one there would bury it. */
async function assertNothingLeft(ctx: ReadContext): Promise<void> {
  const { blobs } = ctx.storage
  // An interrupted push may have uploaded segments before it could create the store.
  const coming = (await listComing(ctx)).map((logId) => `${logPath(ctx.store, logId)}/`)
  const isKnown = (name: string): boolean =>
    isProbe(name) || logIdOfComing(name) !== undefined || coming.some((prefix) => name.startsWith(prefix))
  let left: BlobInfo | undefined
  for await (const { items } of pagesOf(blobs, `${shardPath(ctx.store, ctx.shard)}/`)) {
    left = items.find(({ name }) => !isKnown(name))
    if (left) break
  }
  if (left === undefined) return
  if (left.name.startsWith(gonePrefix(ctx.store))) {
    throw corrupt(`Store "${ctx.store}" was being destroyed; call destroyStore() again to finish that.`)
  }
  throw corrupt(
    `Store "${ctx.store}" has lost its anchor and its log; segments such as ${left.name} are left. Restore it from a backup, choose another name, or destroyStore() it again if it was destroyed.`,
  )
}

/**
 * The anchor by the newest header that is there; `undefined` when there is no store. Several logs are left only by creators
 * that never got to name one.
 */
async function anchorOf(ctx: ReadContext, anchor: Anchor, paths: readonly string[]): Promise<AnchorValue | undefined> {
  let best: { value: AnchorValue; head: number } | undefined
  for (const path of paths) {
    const logId = logIdOfPath(ctx.store, path, ctx.shard)!
    const own = openLog(ctx, anchor, logId)
    const { log } = own
    try {
      const { numbers } = await log.list(1)
      const head = numbers.at(-1)
      // One of several would do, were it not that this may have been the one that was named.
      if (head === undefined) {
        throw corrupt(`The anchor of store "${ctx.store}" is missing, and the entries of its log ${path} are, too.`)
      }
      if ((best && best.head >= head) || (head === 1 && (await isVoid(log)))) continue
      best = { value: await anchorFromHeaders(own, numbers), head }
    } finally {
      await closeLog(ctx, { log })
    }
  }
  // Of one that has nothing but its first entry it was not written yet: somebody creates the store just now.
  if (best && best.head > 1)
    ctx.warn(`The anchor of store "${ctx.store}" was missing and is rebuilt from entry ${best.head}.`)
  return best?.value
}

/** Whether the log is that of a fork that never came about: collection has closed it (R38). */
export async function isVoid(log: LogContext['log']): Promise<boolean> {
  const { bytes } = await log.read(1)
  return bytes !== undefined && decodeEntry(bytes, 1, undefined).kind === 'void'
}

async function anchorFromHeaders(own: LogContext, numbers: readonly number[]): Promise<AnchorValue> {
  const { log, logId, path } = own
  for (const n of numbers.toReversed()) {
    const { bytes } = await log.read(n)
    const carried = bytes && (await parseEntry(own, n, bytes)).entry.carried
    // Only a fence that was written blindly has none; the entry before it does.
    if (!carried) continue
    const { covers } = carried
    const needed = numbers.filter((m) => m > covers)
    const missing = needed.findIndex((m, i) => m !== covers + 1 + i)
    if (missing < 0) return anchorAfter(logId, carried)
    throw corrupt(
      `The anchor is missing, and so is entry ${covers + 1 + missing} of ${path}. Restore the store from a backup.`,
    )
  }
  throw corrupt(`The anchor is missing, and no entry in ${path} says where the newest manifest is.`)
}

/**
 * Entry `n` was absent, and later ones are there. `false` when it is there by now; `true` when it is trimmed, which the
 * caller finds out for itself. Otherwise the log has lost it: what comes behind it is part of the history.
 */
export async function isTrimmed(ctx: ReadContext, log: LogContext, n: number): Promise<boolean> {
  const { bytes } = await log.log.read(n)
  if (bytes !== undefined) return false
  const { value } = await readAnchor(log.anchor, anchorName(ctx))
  if (value && value.trim >= n) return true
  throw corrupt(
    `Entry ${n} of store "${ctx.store}" is missing, and later ones are there. Put it back, or restore the store from a backup.`,
  )
}
