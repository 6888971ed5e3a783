/** Everything that a log keeps, as far as it matters to those that collect: read whole, without the changes in its entries. */
import { readAnchor, type AnchorValue } from '../../log/anchor.js'
import { decodeSealedEnd, type SealedEnd } from '../../log/sealed-anchor.js'
import type { Seal } from '../../log/shard-parts.js'
import { tailOf } from '../../log/tail.js'
import { anchorName, closeLog, noteTime, openAnchor, openLog, type LogContext, type ReadContext } from '../context.js'
import { namesIn } from '../gc/entry-index.js'
import { listPins, manifestOfPin } from '../history/pins.js'
import { isThinned } from '../history/thinned.js'
import { parseHead } from '../state.js'

/** A version, and its time. */
export interface Dated {
  readonly n: number
  readonly time: number
}

/** Entries of a log from the one after its trim number to its end. */
export interface KeptEntries {
  readonly head: number
  readonly seal: Seal | undefined
  /** From this version on all are kept. */
  readonly keeps: number
  readonly versions: readonly Dated[]
  /** The segments that they name. */
  readonly names: ReadonlySet<string>
}

/** The same with what its pins keep. */
export interface Offspring extends KeptEntries {
  readonly logId: Uint8Array
  /** The number with which it began. */
  readonly first: number
  readonly thinned: readonly Dated[]
}

/** Only names that begin so are kept. */
type Prefix = string

/** `undefined` when a number is left out: it was trimmed meanwhile, or is lost. */
export async function keptEntries(log: LogContext, trim: number, prefix: Prefix): Promise<KeptEntries | undefined> {
  let head = trim
  let keeps = 0
  let seal: Seal | undefined
  const versions: Dated[] = []
  const names = new Set<string>()
  for await (const { entries } of tailOf(log.log, trim + 1)) {
    for (const { n, bytes } of entries) {
      if (n !== head + 1) return undefined
      const applied = parseHead(log, n, bytes)
      const { kind, carried } = applied.entry
      head = n
      for (const name of namesIn(applied)) if (name.startsWith(prefix)) names.add(name)
      keeps = carried?.keeps ?? keeps
      if (kind === 'commit' || kind === 'reset') versions.push({ n, time: carried!.time })
      seal = applied.entry.seal
      // What stands behind a seal does not count (S1).
      if (seal) return { head, seal, keeps, versions, names }
    }
  }
  return { head, seal, keeps, versions, names }
}

/**
 * All that the log `logId`, which came of others and began with `first`, keeps. `undefined` when that can't be told: it is not there yet,
 * or was overtaken while it was read. Its trim number is read before its entries and after them, as for every head (R25). Its pins are
 * listed before its entries, as what is held is in an entry before it is let go of (S9), and after them, as a tag of a tag may come when
 * the first one goes.
 */
export async function offspring(
  ctx: ReadContext,
  logId: Uint8Array,
  first: number,
  prefix: Prefix,
): Promise<Offspring | undefined> {
  const anchor = openAnchor(ctx)
  const log = openLog(ctx, anchor, logId)
  const what = anchorName(ctx)
  try {
    const early = await listPins(ctx.storage, log.path)
    const { value: before } = await readAnchor(anchor, what)
    const trim = before?.trim ?? first - 1
    const ended = endOf(before, what)
    const kept = ended && trim >= ended.n ? nothing(ended) : await keptEntries(log, trim, prefix)
    const { value: after, time } = await readAnchor(anchor, what)
    noteTime({ clock: ctx.clock }, log, time)
    if (kept === undefined || (after?.trim ?? first - 1) !== trim) return undefined
    const end = endOf(after, what)
    // Sealed while it was read: what came of it is met the next time.
    if (end && !kept.seal && kept.head < end.n) return undefined
    if (!end && (kept.head < first || kept.head < (after?.manifestAt ?? first))) return undefined
    const names = new Set(kept.names)
    const thinned: Dated[] = []
    const known = new Map(early.map((pin) => [pin.blob, pin]))
    const late = await listPins(ctx.storage, log.path, { known })
    for (const pin of new Set([...early, ...late])) {
      for (const { name } of manifestOfPin(pin, log.path).runs.flat()) if (name.startsWith(prefix)) names.add(name)
    }
    for (const pin of late) if (isThinned(pin)) thinned.push({ n: pin.version, time: pin.versionTime })
    const sealed = end ? { head: end.n, seal: end.seal, keeps: end.keeps } : {}
    return { ...kept, ...sealed, names, logId, first, thinned }
  } finally {
    await closeLog(ctx, log)
  }
}

/** Of a sealed log all of whose versions have expired. */
function nothing({ n, seal, keeps }: SealedEnd): KeptEntries {
  return { head: n, seal, keeps, versions: [], names: new Set() }
}

function endOf(value: AnchorValue | undefined, what: string): SealedEnd | undefined {
  return value?.sealed && decodeSealedEnd(value.sealed, what)
}
