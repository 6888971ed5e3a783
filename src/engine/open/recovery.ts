/**
 * Finding a store again: the anchor says where to begin, the entries after it are read until one is absent, and the fence
 * of a writer settles what the head was. What seems to be lost is looked into before anything is written (lost-log.ts).
 */
import { TidemarkError, corrupt } from '../../errors.js'
import { readAnchor, type AnchorReading, type AnchorValue } from '../../log/anchor.js'
import { emptyCarried, ID_BYTES } from '../../log/entry.js'
import { anchorPath, logPath } from '../../manifest/names.js'
import type { Anchor } from '../../storage/contract.js'
import { platformOf } from '../../storage/platform.js'
import { moment, noteTime, type LogContext, type ReadContext, type ShardContext } from '../context.js'
import { losing } from '../parts.js'
import { applyEntry, parseEntry, type AppliedEntry, type ShardState } from '../state.js'

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
    platform: platformOf(ctx.storage),
    log,
    anchor,
    writerId: ctx.clock.random(ID_BYTES),
    writes: 0,
    storageTime: undefined,
    free: undefined,
  }
}

/** Lets go of a log. That this fails takes nothing back and must not hide what happened before. */
export async function closeLog(
  ctx: Pick<ReadContext, 'store' | 'warn'>,
  { log }: Pick<LogContext, 'log'>,
): Promise<void> {
  await log.close().catch((cause: unknown) => ctx.warn(`The log of store "${ctx.store}" could not be closed.`, cause))
}

/** Where a store is found. */
export type Found = AnchorReading & {
  /** The anchor is gone: this is what it has to say, and nobody has written that. */
  readonly isRebuilt?: boolean | undefined
}

/** The anchor, or what the entries say of it when there is none; without a value when there is no store. */
export async function locate(ctx: ReadContext, anchor: Anchor): Promise<Found> {
  const found = await readAnchor(anchor, anchorName(ctx))
  return found.value ? found : losing.use(({ locateAnew }) => locateAnew(ctx, anchor))
}

/**
 * Reads from the anchor's hint to the head; the manifest that counts is the newest one on the way. When the log ends before
 * the one that the anchor names, the state is short: its head is below `hint.manifestAt`.
 */
export async function readLog(ctx: ReadContext, log: LogContext, hint: AnchorValue): Promise<ShardState> {
  let state: ShardState = {
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
  }
  for (;;) {
    const { head } = state
    state = await readOn(ctx, log, state)
    // How far was looked beyond the end. One entry that is lost, or two, must show as a hole and not as the end.
    const beyond = READ_AHEAD - 1 - ((state.head - head) % READ_AHEAD)
    if (beyond >= 2 || (await losing.use((part) => part.isEnd(ctx, log, state.head)))) return state
  }
}

/** The error for a log that ends before the entry that its anchor names. */
export function endsEarly(ctx: Pick<ReadContext, 'store'>, state: ShardState, hint: AnchorValue): TidemarkError {
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
        const later = answers.slice(i).some((answer) => answer.bytes)
        if (!later || (await losing.use((part) => part.isTrimmed(ctx, log, first + i)))) return state
        break
      }
      const entry = await parseEntry(log, first + i, bytes)
      state = applyEntry(state, entry)
      applied?.(entry)
    }
  }
}

/** The error for a head that the trim number has overtaken: what was read is no longer the history. */
export function overtaken(ctx: ShardContext): TidemarkError {
  return new TidemarkError('CONFLICT', `Store "${ctx.store}" was trimmed while it was being read; try again.`)
}
