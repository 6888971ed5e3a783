/**
 * Reads every byte that the versions of a store need, and lists the damage. It checks the anchor, each entry and how it
 * follows from the one before, each pin, each segment that a manifest names and the facts that the manifest has of it, and
 * that no fold, reset or pin has changed a state, and the indexes of the newest state against its rows. Segments are read once by themselves, and again where states are compared.
 * An object that is collected meanwhile is no damage. Nothing is written. Of a store that was split all logs are checked, those that live and those
 * that were sealed.
 */
import { checkClock } from '../clock.js'
import { checkFields, corrupt, throwIfAborted } from '../errors.js'
import { closeLog, openAnchor, type ReadContext } from '../engine/context.js'
import { leaves } from '../engine/shards/family.js'
import { finding } from '../engine/shards/heirs.js'
import { shardOfLog } from '../manifest/listed-names.js'
import { ROOT, shardPath } from '../manifest/names.js'
import { deadlines } from '../storage/deadlines.js'
import { Findings, type VerifyOptions, type VerifyReport } from './findings.js'
import { LogVerifier, type CheckedLog } from './log-verifier.js'
import { namesOf, PinShelf } from './pin-check.js'
import { checkPlace, type StorePlace } from './place.js'
import { isOfStore } from './reading.js'
import { Segments } from './segments.js'
import { namedShards } from './shards.js'

const OPTIONS = new Set(['onProgress', 'signal', 'clock'])

/**
 * Checks every byte of a store, and reports the damage. Damage is no error of this call.
 *
 * @throws `NOT_FOUND` when there is no such store, `STORAGE_UNAVAILABLE` when the storage does not answer, `ABORTED`
 * @example
 *     const { ok, damages } = await verify({ storage: nodeFs('./state'), name: 'orders' })
 */
export async function verify(place: StorePlace, options: VerifyOptions = {}): Promise<VerifyReport> {
  checkPlace('verify', place)
  checkFields('verify', options, OPTIONS)
  return verifyAll(place, options)
}

async function verifyAll({ storage, name }: StorePlace, options: VerifyOptions): Promise<VerifyReport> {
  const clock = checkClock(options.clock)
  const bounded = deadlines(storage, { clock })
  const ctx: ReadContext = { store: name, storage: bounded, clock, durability: 'strict', warn: () => undefined }
  const findings = new Findings(options, clock)
  throwIfAborted(findings.signal)
  const shelf = new PinShelf(bounded)
  const segments = new Segments(bounded, findings, shelf)
  const shards = await shardsIn(ctx)
  const checked: CheckedLog[] = []
  for (const shard of [undefined, ...shards]) {
    const verifier = new LogVerifier({ ...ctx, shard }, { findings, shelf, segments }, shards.length > 0)
    checked.push(await verifier.run())
  }
  if (shards.length > 0) await checkWhole(ctx, findings)
  const pins = checked.flatMap((log) => log.pins)
  const known = new Set(pins.map(({ pin }) => pin.blob))
  for (const { object } of findings.damages) known.add(object)
  const blobs = checked.flatMap((log) => log.blobs)
  const orphans = blobs.filter((blob) => !segments.has(blob.name) && !known.has(blob.name))
  const kept = checked.flatMap(({ oldest }) => (oldest > 0 ? [oldest] : []))
  const living = checked.filter(({ isSealed }) => !isSealed)
  return {
    name,
    ok: findings.damages.length === 0,
    version: Math.max(0, ...checked.map(({ version }) => version)),
    head: Math.max(0, ...living.map(({ head }) => head)),
    oldest: kept.length > 0 ? Math.min(...kept) : 0,
    ...namesOf(pins, clock.now()),
    entries: checked.reduce((sum, { entries }) => sum + entries, 0),
    segments: segments.count,
    bytes: findings.bytes,
    orphans: { count: orphans.length, bytes: orphans.reduce((sum, { size }) => sum + size, 0) },
    damages: findings.damages,
  }
}

/** The shards but the root of which there is anything; none of a store that was never split. */
async function shardsIn(ctx: ReadContext): Promise<readonly string[]> {
  const { paths } = await ctx.storage.logs(`${ctx.store}/`)
  const listed = paths.filter(isOfStore).flatMap((path) => (shardOfLog(path) === ROOT ? [] : shardOfLog(path)))
  if (listed.length === 0) return []
  const named = await namedShards(ctx, [undefined, ...listed])
  const isListed = new Set(listed)
  const there = await Promise.all(
    named.map(async (shard) => isListed.has(shard) || (await openAnchor({ ...ctx, shard }).read()).bytes !== undefined),
  )
  return named.filter((_, i) => there[i])
}

/** Checks that shards have all partitions: one that was sealed and has nothing to follow on it will be gone on from by who opens it. */
async function checkWhole(ctx: ReadContext, findings: Findings): Promise<void> {
  await findings.try(shardPath(ctx.store), async () => {
    const found = (await leaves(ctx, finding())) ?? []
    for (const { context, log } of found) await closeLog(context, log)
    for (const leaf of found) {
      if (leaf.seal && leaf.sealed && leaf.sealed.keeps > leaf.n)
        throw corrupt(`What followed on log ${leaf.log.path} is missing. Restore the store from a backup.`)
    }
  })
}
