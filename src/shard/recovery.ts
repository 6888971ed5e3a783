/**
 * Finding a store again: the anchor says where to begin, the entries after it are read until one is absent, and the fence
 * of a writer settles what the head was. Nothing is listed unless the anchor is gone (PROTOCOL.md, section 3).
 */
import { TidemarkError, corrupt } from '../errors.js'
import { raiseAnchor, readAnchor, type AnchorReading, type AnchorValue } from '../log/anchor.js'
import { decodeEntry, emptyCarried, ID_BYTES } from '../log/entry.js'
import {
  anchorPath,
  comingPrefix,
  gonePrefix,
  logIdOfComing,
  logIdOfPath,
  logPath,
  shardPath,
} from '../manifest/names.js'
import type { Anchor, BlobInfo } from '../storage/contract.js'
import { pagesOf } from '../storage/pages.js'
import { isProbe } from '../storage/probe-name.js'
import { moment, noteTime, type LogContext, type ReadContext, type ShardContext } from './context.js'
import { applyEntry, parseEntry, type AppliedEntry, type ShardState } from './state.js'

const READ_AHEAD = 16

export function openAnchor(ctx: ReadContext): Anchor {
  return ctx.storage.anchor(anchorPath(ctx.store))
}

export function anchorName(ctx: Pick<ReadContext, 'store'>): string {
  return `The anchor of store "${ctx.store}"`
}

export function openLog(ctx: ReadContext, anchor: Anchor, logId: Uint8Array): LogContext {
  const path = logPath(ctx.store, logId)
  const log = ctx.storage.log(path, { durability: ctx.durability })
  return {
    logId,
    path,
    log,
    anchor,
    writerId: ctx.clock.random(ID_BYTES),
    writes: 0,
    storageTime: undefined,
    free: undefined,
  }
}

const LOCATE_TRIES = 4

/** Lets go of a log. That this fails takes nothing back and must not hide what happened before. */
export async function closeLog(
  ctx: Pick<ReadContext, 'store' | 'warn'>,
  { log }: Pick<LogContext, 'log'>,
): Promise<void> {
  await log.close().catch((cause: unknown) => ctx.warn(`The log of store "${ctx.store}" could not be closed.`, cause))
}

/** The anchor; rebuilt when entries are there without one; without a value when there is no store. */
export async function locate(ctx: ShardContext, anchor: Anchor, mayWrite: boolean): Promise<AnchorReading> {
  for (let tries = LOCATE_TRIES; ; tries--) {
    const reading = await readAnchor(anchor, anchorName(ctx))
    if (reading.value) return reading
    const { paths } = await ctx.storage.logs(`${shardPath(ctx.store)}/`)
    // What an interrupted probe left behind is no store.
    const own = paths.filter((path) => logIdOfPath(ctx.store, path) !== undefined)
    try {
      const value = await rebuildAnchor(ctx, anchor, own)
      if (value === undefined) {
        await assertNothingLeft(ctx)
        return reading
      }
      if (!mayWrite) return { ...reading, value }
      // Whoever comes first decides; a store that was being created at this moment goes on under the log named there.
      await raiseAnchor(anchor, anchorName(ctx), value)
      return await readAnchor(anchor, anchorName(ctx))
    } catch (error) {
      // Creators that race clear away what nobody has named, or have just begun: then the anchor is there by now.
      if (tries === 1) throw error
    }
  }
}

/** Ids of the logs that pushes were, or are, about to create. */
export async function listComing({ storage, store }: ShardContext): Promise<Uint8Array[]> {
  const { items } = await storage.blobs.list(comingPrefix(store))
  return items.flatMap(({ name }) => logIdOfComing(name) ?? [])
}

/** Segments without a log are what is left of a store: making a new one there would bury it. */
async function assertNothingLeft(ctx: ShardContext): Promise<void> {
  const { blobs } = ctx.storage
  // What an interrupted push uploaded before it could create the store is no store, either.
  const coming = (await listComing(ctx)).map((logId) => `${logPath(ctx.store, logId)}/`)
  const isKnown = (name: string): boolean =>
    isProbe(name) || logIdOfComing(name) !== undefined || coming.some((prefix) => name.startsWith(prefix))
  let left: BlobInfo | undefined
  for await (const { items } of pagesOf(blobs, `${shardPath(ctx.store)}/`)) {
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
 * From the newest header of what is there; `undefined` when no store is. Several logs are left only by creators that never
 * got to name one.
 */
async function rebuildAnchor(
  ctx: ShardContext,
  anchor: Anchor,
  paths: readonly string[],
): Promise<AnchorValue | undefined> {
  if (paths.length === 0) return undefined
  let best: { value: AnchorValue; head: number } | undefined
  let voids = 0
  for (const path of paths) {
    const logId = logIdOfPath(ctx.store, path)!
    const { log } = openLog(ctx, anchor, logId)
    try {
      const { numbers } = await log.list(1)
      const head = numbers.at(-1)
      if (head === undefined || (best && best.head >= head)) continue
      if (head === 1 && (await isVoid(log))) {
        voids++
        continue
      }
      const value = await anchorFromHeaders(log, logId, path, numbers)
      best = { value, head }
    } finally {
      await closeLog(ctx, { log })
    }
  }
  if (best === undefined) {
    if (voids === paths.length) return undefined
    throw corrupt(`The anchor of store "${ctx.store}" is missing, and no entry is left to rebuild it from.`)
  }
  ctx.warn(`The anchor of store "${ctx.store}" was missing and is rebuilt from entry ${best.head}.`)
  return best.value
}

/** Whether the log is that of a fork that never came about: collection has closed it (PROTOCOL.md, section 4). */
export async function isVoid(log: LogContext['log']): Promise<boolean> {
  const { bytes } = await log.read(1)
  return bytes !== undefined && decodeEntry(bytes, 1, undefined).kind === 'void'
}

async function anchorFromHeaders(
  log: LogContext['log'],
  logId: Uint8Array,
  path: string,
  numbers: readonly number[],
): Promise<AnchorValue> {
  for (let i = numbers.length - 1; i >= 0; i--) {
    const n = numbers[i]!
    const { bytes } = await log.read(n)
    const carried = bytes && parseEntry(bytes, n, logId, path).entry.carried
    // Only a fence that was written blindly has none; the entry before it does.
    if (!carried) continue
    const { trim, manifestAt, covers, time } = carried
    return { logId, trim, manifestAt, covers, time }
  }
  throw corrupt(`The anchor is missing, and no entry in ${path} says where the newest manifest is.`)
}

/**
 * Reads from the anchor's hint to the head; the manifest that counts is the newest one on the way. When the log ends before
 * the one that the anchor names, the state is short: its head is below `hint.manifestAt`.
 */
export async function readLog(ctx: ReadContext, log: LogContext, hint: AnchorValue): Promise<ShardState> {
  return readOn(ctx, log, {
    logId: log.logId,
    head: hint.covers,
    headHash: undefined,
    carried: emptyCarried('exclusive'),
    manifest: {
      config: { partitions: 1, job: undefined, created: 0 },
      covers: hint.covers,
      codecs: new Map(),
      runs: [],
    },
    tail: [],
  })
}

/** The error for a log that ends before the entry that its anchor names. */
export function endsEarly(ctx: ShardContext, state: ShardState, hint: AnchorValue): TidemarkError {
  return corrupt(
    `Entry ${state.head + 1} of store "${ctx.store}" is missing: its anchor names entry ${hint.manifestAt}. Restore the store from a backup.`,
  )
}

/**
 * Applies what the log has after `state`, until an entry is absent. `ahead` entries are asked for at first: many when many
 * are expected, one when probably none is there.
 */
export async function readOn(
  ctx: ReadContext,
  log: LogContext,
  from: ShardState,
  ahead = READ_AHEAD,
  applied?: (entry: AppliedEntry) => void,
): Promise<ShardState> {
  let state = from
  for (let length = ahead; ; length = Math.min(2 * length, READ_AHEAD)) {
    const first = state.head + 1
    const sent = moment(ctx, log)
    const answers = await Promise.all(Array.from({ length }, (_, i) => log.log.read(first + i)))
    for (const [i, { bytes, time }] of answers.entries()) {
      noteTime(ctx, log, time)
      if (bytes === undefined) {
        log.free = sent
        return state
      }
      const entry = parseEntry(bytes, first + i, log.logId, log.path)
      state = applyEntry(state, entry)
      applied?.(entry)
    }
  }
}

/** The error for a head that the trim number has overtaken: what was read is no longer the history. */
export function overtaken(ctx: ShardContext): TidemarkError {
  return new TidemarkError('CONFLICT', `Store "${ctx.store}" was trimmed while it was being read; try again.`)
}
