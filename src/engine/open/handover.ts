/** Settles entries in doubt, on storages whose log changes hands as files do; on others a log that is short has lost its end. */
import { sleep } from '../../clock.js'
import { TidemarkError, corrupt, damaged } from '../../errors.js'
import type { AnchorValue } from '../../log/anchor.js'
import { encodeEntry } from '../../log/encode.js'
import type { Entry } from '../../log/entry.js'
import type { LogContext, ReadContext } from '../context.js'

const SETTLE_TRIES = 5

/** The state that a log gave which lacks something. */
interface Short {
  readonly head: number
  readonly carried: { readonly covers: number }
  readonly manifest: { readonly covers: number }
}

/**
 * While files change hands the newest entries may be in doubt, though they were acknowledged: the next owner settles them.
 * It comes within moments or has died on the way, and then an opener that is to own the store settles them itself: a claim
 * of a number that is long taken is lost, and leaves nothing in doubt. Throws when there is nothing to wait for.
 */
export async function settleHistory(
  ctx: ReadContext,
  log: LogContext,
  { head, carried, manifest }: Short,
  hint: AnchorValue,
  isWriter: boolean,
  tries: number,
): Promise<void> {
  if (head >= hint.manifestAt) {
    throw damaged(
      `Store "${ctx.store}"`,
      `entry ${head} needs a manifest up to ${carried.covers}, and the newest one covers ${manifest.covers}`,
    )
  }
  if (ctx.storage.capabilities.trim !== 'owner') throw endsEarly(ctx, head, hint)
  if (tries > SETTLE_TRIES) {
    const { inDoubt = 0 } = await log.log.list(hint.manifestAt, { limit: 1 })
    if (inDoubt < hint.manifestAt) throw endsEarly(ctx, head, hint)
    throw new TidemarkError(
      'STORAGE_UNAVAILABLE',
      `Store "${ctx.store}" is being taken over, or who did so has died on the way. Try again, or open it for writing once, which settles its newest entries.`,
      { retryable: true },
    )
  }
  if (isWriter && tries > 1) {
    // The oldest entry of all, so that nothing is taken over; a log that ends before the entry that the anchor names has
    // lost it, and is refused before anything is written.
    const n = hint.trim + 1
    await log.log.claim(n, encodeEntry(bareEntry(log, n, 'fence')), hint.manifestAt + 1)
  }
  await sleep(ctx.clock, 20 << tries)
}

/** The error for a log that ends before the entry that its anchor names. */
export function endsEarly(ctx: Pick<ReadContext, 'store'>, head: number, hint: AnchorValue): TidemarkError {
  return corrupt(
    `Entry ${head + 1} of store "${ctx.store}" is missing: its anchor names entry ${hint.manifestAt}. Restore a backup.`,
  )
}

/** An entry that was written without knowing the one before it. */
export function bareEntry(
  log: Pick<LogContext, 'logId' | 'writerId' | 'writes'>,
  n: number,
  kind: 'fence' | 'void',
): Entry {
  const { logId, writerId } = log
  const nothing = {
    parent: undefined,
    carried: undefined,
    label: undefined,
    meta: undefined,
    delta: undefined,
    references: undefined,
    manifest: undefined,
    origin: undefined,
    collection: undefined,
    seal: undefined,
  }
  return { n, kind, mode: 'exclusive', logId, writerId, write: log.writes++, ...nothing }
}
