/**
 * A root that is lost is rebuilt from the logs that came of it: those that were not sealed have all partitions between them, and where
 * one has just been sealed, it leads on itself. What the root had is not kept any more, as far as anybody can tell (S6). Nothing is written here.
 */
import { toHex } from '../../bytes/hex.js'
import { corrupt, damaged, isDamage } from '../../errors.js'
import { readAnchor, type AnchorValue } from '../../log/anchor.js'
import { decodeEntry, type Entry } from '../../log/entry.js'
import { encodeSealedEnd } from '../../log/sealed-anchor.js'
import type { Child } from '../../log/shard-parts.js'
import { logIdOfPath, shardOfLog } from '../../manifest/listed-names.js'
import { ROOT } from '../../manifest/names.js'
import { decodeManifest } from '../../manifest/manifest.js'
import { anchorName, closeLog, openAnchor, openLog, type LogContext, type ReadContext } from '../context.js'

/** A log that came of the root. */
interface Descendant extends Child {
  /** It has nothing of before this number. */
  readonly from: number
  readonly time: number
  readonly isSealed: boolean
  readonly partitions: number
}

/**
 * The anchor of a root that has lost it: what its log says, by `byLog`, as long as that is there up to its seal. `paths` are those of all logs
 * of the store.
 */
export async function rootOf(
  ctx: ReadContext,
  paths: readonly string[],
  byLog: () => Promise<AnchorValue | undefined>,
): Promise<AnchorValue | undefined> {
  for (const path of paths) {
    const logId = logIdOfPath(ctx.store, path, ROOT)
    if (logId === undefined) continue
    const log = openLog(ctx, openAnchor(ctx), logId)
    try {
      const entry = await newest(log, (await log.log.list(1)).numbers)
      const value = entry?.seal && (await byLog())
      if (value) return { ...value, sealed: sealedBy(entry) }
    } catch (error) {
      if (!isDamage(error)) throw error
    } finally {
      await closeLog(ctx, log)
    }
  }
  return lostRoot(ctx, paths)
}

function sealedBy({ n, seal, carried }: Entry): Uint8Array {
  return encodeSealedEnd({ n, seal: seal!, keeps: carried!.keeps, collection: [], living: [] })
}

/** The anchor of a root that has lost its log, too. */
async function lostRoot(ctx: ReadContext, paths: readonly string[]): Promise<AnchorValue> {
  const found = await Promise.all(paths.map((path) => descendant(ctx, path)))
  const all = found.filter((each) => each !== undefined)
  const children = tiling(all)
  if (children === undefined) {
    throw corrupt(
      `Store "${ctx.store}" has lost its root, and its other logs do not have all of its partitions. Restore it from a backup.`,
    )
  }
  const logId = paths.flatMap((path) => logIdOfPath(ctx.store, path, ROOT) ?? [])[0] ?? children[0]!.logId
  const n = Math.max(1, Math.min(...children.map(({ from }) => from)))
  const named = children.map((child) => ({ logId: child.logId, first: child.first, last: child.last }))
  const seal = { plan: logId, parents: [logId], children: named, fallback: logId, graceMs: 0 }
  const sealed = encodeSealedEnd({ n, seal, keeps: n + 1, collection: [], living: [] })
  ctx.warn(`The root of store "${ctx.store}" was missing and is rebuilt from its other logs.`)
  return { logId, trim: n, manifestAt: n, covers: n - 1, time: Math.max(...children.map(({ time }) => time)), sealed }
}

/** Those that live, and where they leave partitions out the newest ones that were sealed; `undefined` when these do not suffice. */
function tiling(all: readonly Descendant[]): readonly Descendant[] | undefined {
  const chosen = all.filter(({ isSealed }) => !isSealed)
  const isFree = ({ first, last }: Child): boolean => chosen.every((other) => other.last < first || other.first > last)
  for (const sealed of all.filter(({ isSealed }) => isSealed).toSorted((a, b) => b.from - a.from)) {
    if (isFree(sealed)) chosen.push(sealed)
  }
  chosen.sort((a, b) => a.first - b.first)
  const isGapless = chosen.every(({ first }, i) => first === (chosen[i - 1]?.last ?? -1) + 1)
  return chosen.length > 0 && isGapless && chosen.at(-1)!.last === chosen[0]!.partitions - 1 ? chosen : undefined
}

/** What the newest entry of a log says of it; `undefined` when nothing is left of the log but its anchor. */
async function descendant(ctx: ReadContext, path: string): Promise<Descendant | undefined> {
  const shard = shardOfLog(path)
  const own: ReadContext = { ...ctx, shard }
  const logId = logIdOfPath(ctx.store, path, shard)
  if (logId === undefined || toHex(logId) !== shard) return undefined
  const anchor = openAnchor(own)
  const log = openLog(own, anchor, logId)
  try {
    const { value } = await readAnchor(anchor, anchorName(own))
    const { numbers } = await log.log.list(1)
    const entry = await newest(log, numbers)
    const { carried } = entry ?? {}
    if (carried === undefined) return undefined
    if (carried.own === undefined) throw damaged(`Log ${path}`, 'it does not say which partitions it has')
    const { first, last, parents } = carried.own
    const from = Math.min(carried.trim, ...parents.map(({ n }) => n))
    const isSealed = value?.sealed !== undefined || entry!.seal !== undefined
    const partitions = await partitionsIn(log, carried.manifestAt)
    return { logId, first, last, from, time: carried.time, isSealed, partitions }
  } finally {
    await closeLog(own, log)
  }
}

/** The newest entry that carries anything forward. */
async function newest({ log }: LogContext, numbers: readonly number[]): Promise<Entry | undefined> {
  for (const n of numbers.toReversed()) {
    const { bytes } = await log.read(n)
    const entry = bytes && decodeEntry(bytes, n, undefined)
    if (entry?.carried) return entry
  }
  return undefined
}

async function partitionsIn({ log, path }: LogContext, n: number): Promise<number> {
  const { bytes } = await log.read(n)
  const manifest = bytes && decodeEntry(bytes, n, undefined).manifest
  if (!manifest) throw damaged(`Log ${path}`, `there is no manifest in entry ${n}`)
  return decodeManifest(manifest, path, `The manifest in entry ${n}`).config.partitions
}
