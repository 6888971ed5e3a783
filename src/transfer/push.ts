/** Copies a version from store to store. Only segments that the other one lacks are sent, and all of them are checked. */
import { equalBytes } from '../bytes/compare.js'
import { TidemarkError, invalid, throwIfAborted } from '../errors.js'
import { stateOf } from '../engine/history/past.js'
import { nowIn } from '../store/context.js'
import type { When } from '../store/find.js'
import { flag, required } from '../store/options.js'
import { checkPlace, type StorePlace } from '../tools/place.js'
import { relate, wantedBy, type Relation } from './ancestry.js'
import { checkTag, isTagFree, keepNewest, tagBackup } from './backups.js'
import { abortable, checkTransfer, tellProgress, type TransferOptions } from './options.js'
import { Receiver } from './receiver.js'
import { Source } from './source.js'

/** Options of `pull`. */
export interface PullOptions extends TransferOptions {
  /**
   * The version, tag or moment to copy.
   * @default the newest version
   * @when Set it to bring an older version or a backup.
   */
  readonly at?: When | undefined
  /**
   * Also puts the version over others that the source does not know. They stay in the target's history.
   * @default false
   * @when Set it when what the target has on its own may be put aside.
   */
  readonly force?: boolean | undefined
}

/** Options of `push`. */
export interface PushOptions extends PullOptions {
  /**
   * Tags the version at the target under this name, as a backup.
   * @default none: no tag is made
   * @when Set it to make a backup that stays when others follow.
   */
  readonly tag?: string | undefined
  /**
   * How many backups are kept: the newest of those that push has tagged.
   * @default all
   * @unit backups
   * @when Set it with `tag`, so that old backups go by themselves.
   */
  readonly keep?: number | undefined
}

/** The result of `push` and `pull`. */
export interface PushResult {
  /** The version at the target. */
  readonly version: number
  /** The version at the source. */
  readonly from: number
  /** How many segments were copied. */
  readonly copied: number
  /** How many segments were there already. */
  readonly reused: number
  /** How many bytes were written at the target. */
  readonly bytes: number
}

const PULL = ['at', 'force']
const PUSH = [...PULL, 'tag', 'keep']

/**
 * Makes a version of `source` the newest version of `target`, and creates that store if it does not exist.
 *
 * The source is only read, as a follower reads it. Where it may be written, a pin holds the version meanwhile. Whoever has
 * the target open for writing is fenced, unless the target has the version already. Every segment is checked before it is
 * written, and read back afterwards. One reset entry at the end makes all of it visible at once.
 *
 * A push that is interrupted leaves the target as it was. The next one finishes the work, and takes over the segments that
 * have arrived.
 *
 * @throws `CONFLICT` when the target has versions that the source does not know, unless `force` is set
 * @throws `INVALID_ARGUMENT` for a wrong option, and when another version at the target has the name of `tag`
 * @throws `NOT_FOUND` when there is no such source, version or tag, `VERSION_EXPIRED` when the version is no longer kept
 * @throws `CORRUPT` when the source is damaged and cannot be repaired, `QUOTA`, `STORAGE_UNAVAILABLE`, `UNKNOWN_OUTCOME`, `ABORTED`
 * @example
 *     await push({ storage: nodeFs('./state'), name: 'orders' }, { storage: s3(bucket), name: 'orders' }, { tag: 'monday' })
 */
export async function push(source: StorePlace, target: StorePlace, options: PushOptions = {}): Promise<PushResult> {
  checkTransfer('push', options, PUSH)
  checkTag(options.tag)
  if (options.keep !== undefined) required('keep', options.keep, 1)
  return transfer('push', source, target, options)
}

/**
 * Makes a version of `remote` the newest one of `local`, with the rules and errors of `push`. Whoever has `local` open for
 * writing is fenced, and sees the version after `reopen()`.
 *
 * @throws `CONFLICT` when `local` has versions that `remote` does not know, unless `force` is set
 * @throws `INVALID_ARGUMENT` for a wrong option; `NOT_FOUND` or `VERSION_EXPIRED` when `remote` has no such version
 * @throws `CORRUPT` when `remote` is damaged and cannot be repaired, `QUOTA`, `STORAGE_UNAVAILABLE`, `UNKNOWN_OUTCOME`, `ABORTED`
 * @example
 *     await pull({ storage: nodeFs('./state'), name: 'orders' }, { storage: s3(bucket), name: 'orders' }, { at: 'monday' })
 */
export async function pull(local: StorePlace, remote: StorePlace, options: PullOptions = {}): Promise<PushResult> {
  checkTransfer('pull', options, PULL)
  return transfer('pull', remote, local, options)
}

async function transfer(what: string, from: StorePlace, to: StorePlace, options: PushOptions): Promise<PushResult> {
  checkPlace(what, from)
  checkPlace(what, to)
  flag('force', options.force)
  return abortable(options.signal, async () => {
    throwIfAborted(options.signal)
    const source = await Source.open(from, options.at, options)
    try {
      return await Receiver.use(to, options, (receiver) => run(source, receiver, options))
    } finally {
      await source.close()
    }
  })
}

async function run(source: Source, receiver: Receiver, options: PushOptions): Promise<PushResult> {
  const { seen, ctx } = receiver
  const { tag } = options
  const { config } = source.state.manifest
  if (seen && equalBytes(seen.log.logId, source.shard.log.logId)) {
    throw invalid(`Store "${ctx.store}" cannot be copied into itself: both places are one and the same.`)
  }
  receiver.checkConfig(config)
  const relation: Relation = seen ? await relate(source, seen) : 'forward'
  if (relation === 'diverged' && !options.force) throw diverged(source, receiver)
  const isSame = relation === 'same'
  const now = (): number => nowIn(ctx, { log: receiver.log, state: receiver.state ?? seen!.state })
  const taken = isSame ? receiver.version : undefined
  const isTagged = tag !== undefined && seen !== undefined && !(await isTagFree(ctx, seen.log, tag, now(), taken))
  const moved = isSame
    ? { copied: 0, reused: 0, state: undefined }
    : await send(source, receiver, options.force ?? false)
  if (isSame) tellProgress(options, { done: 0, total: 0, bytes: 0, totalBytes: 0 })
  if (tag !== undefined && !isTagged) {
    await tagBackup(ctx, receiver.log, moved.state ?? (await stateOf(seen!, receiver.version)), tag)
  }
  if (options.keep !== undefined) await keepNewest(ctx, receiver.log, options.keep, now())
  const { copied, reused, state } = moved
  const version = state ? state.carried.version : receiver.version
  return { version, from: source.version, copied, reused, bytes: receiver.bytes }
}

async function send(source: Source, receiver: Receiver, force: boolean) {
  await receiver.begin(force)
  const content = await source.repairing(async () => {
    const wanted = await receiver.combine(await wantedBy(source, receiver.state), source.state)
    await receiver.copy(wanted.manifest.runs.flat(), (segment) => source.read(segment))
    return wanted
  })
  const { state, label, meta, version } = source
  const { logId, path } = source.shard.log
  const after = await receiver.commit(content, {
    offsets: state.carried.offsets,
    spans: state.carried.spans,
    label,
    meta,
    origin: { log: path, version, partitions: [] },
    sync: { logId, version, hash: state.headHash! },
  })
  return { ...receiver.count(content.manifest), state: after }
}

function diverged(source: Source, receiver: Receiver): TidemarkError {
  return new TidemarkError(
    'CONFLICT',
    `Store "${receiver.ctx.store}" has versions of its own up to ${receiver.version}, which store "${source.ctx.store}" does not know; nothing was put there. Use force: true to put version ${source.version} over them as a new one.`,
    { retryable: false },
  )
}
