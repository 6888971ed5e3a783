/** Checks one log of a store: its anchor, its entries from the first one to the last, and its pins. */
import { isDamage, isExpired, TidemarkError, corrupt, throwIfAborted } from '../errors.js'
import { readAnchor, type AnchorValue } from '../log/anchor.js'
import type { Origin } from '../log/entry.js'
import { decodeSealedEnd, type SealedEnd } from '../log/sealed-anchor.js'
import { partitionRanges } from '../manifest/clip.js'
import type { Manifest } from '../manifest/manifest.js'
import { closedPrefix, idOfBlob, logIdOfPath } from '../manifest/listed-names.js'
import { anchorPath, checkLogPath, logPath, shardPath } from '../manifest/names.js'
import { partitionPrefix } from '../segment/record.js'
import { anchorName, closeLog, openAnchor, openLog, type LogContext, type ReadContext } from '../engine/context.js'
import { stateAt } from '../engine/history/past.js'
import { stateOfPin, type StoredPin } from '../engine/history/pins.js'
import { viewOf } from '../engine/read.js'
import { parseEntry, segmentsOf, type AppliedEntry, type ShardState } from '../engine/state.js'
import { SegmentCache } from '../segment/cache.js'
import type { BlobInfo } from '../storage/contract.js'
import type { Findings, StillNeeded } from './findings.js'
import { checkSame, differing, stackOf, type Pair, type Stack } from './fold-check.js'
import { checkIndexes } from './index-check.js'
import { checkEntry, foldOf, knownAfter, NOTHING, unknownAfter, type Known } from './log-check.js'
import { checkPinned, PinShelf, readPins, type ReadPin } from './pin-check.js'
import { blobsOf, isVoidLog, logsOf, newestHeader } from './reading.js'
import type { Segments } from './segments.js'

/** Memory for the blocks in which indexes and their rows are looked up. */
const CACHE_BYTES = 16 << 20

const PAUSE_EVERY = 16

/** What is shared by the checks of all logs of a store. */
export interface Checks {
  readonly findings: Findings
  readonly shelf: PinShelf
  readonly segments: Segments
}

/** What was found in a log. */
export interface CheckedLog {
  readonly version: number
  readonly head: number
  readonly oldest: number
  readonly entries: number
  readonly pins: readonly ReadPin[]
  /** Its blobs, but for marks, which are empty. */
  readonly blobs: readonly BlobInfo[]
  /** It was sealed. */
  readonly isSealed: boolean
}

export class LogVerifier {
  readonly #ctx: ReadContext
  readonly #findings: Findings
  readonly #shelf: PinShelf
  readonly #segments: Segments
  /** There are other logs of the store, so that this one need not be there. */
  readonly #isBeside: boolean
  #pins: readonly ReadPin[] = []
  /** The entries of the versions that pins keep, as far as they were read. */
  readonly #pinned = new Map<number, Pick<AppliedEntry, 'entry' | 'hash'>>()
  /** What its anchor says of its end, if it was sealed. */
  #end: SealedEnd | undefined
  isSealed = false
  #version = 0
  #head = 0
  #oldest = 0
  #keeps = 0
  #trim = 0
  #entries = 0

  constructor(ctx: ReadContext, { findings, shelf, segments }: Checks, isBeside: boolean) {
    this.#ctx = ctx
    this.#findings = findings
    this.#shelf = shelf
    this.#segments = segments
    this.#isBeside = isBeside
  }

  async run(): Promise<CheckedLog> {
    const findings = this.#findings
    // Blobs are listed first, so that none of a later upload counts as an orphan.
    const blobs = await blobsOf(this.#ctx)
    const anchor = await this.#anchor()
    const { store, shard } = this.#ctx
    const logs = anchor ? [logPath(store, anchor.logId, shard)] : await logsOf(this.#ctx)
    if (!anchor && logs.length === 0) this.#nothing(blobs)
    const isMark = (name: string): boolean => logs.some((log) => idOfBlob(closedPrefix(log), name))
    // Marks are empty, and not read.
    const others = blobs.filter(({ name }) => !isMark(name))
    findings.of = findings.objects + others.length
    await this.#longest(logs, anchor, blobs)
    return {
      version: this.#version,
      head: this.#head,
      oldest: this.#oldest,
      entries: this.#entries,
      pins: this.#pins,
      blobs: others,
      isSealed: this.isSealed || this.#end !== undefined,
    }
  }

  /** The anchor; `undefined` when it cannot be read, or is missing. The next opener writes a missing one. */
  async #anchor(): Promise<AnchorValue | undefined> {
    const path = anchorPath(this.#ctx.store, this.#ctx.shard)
    let value: AnchorValue | undefined
    await this.#findings.try(path, async () => {
      const anchor = openAnchor(this.#ctx)
      const { bytes } = await anchor.read()
      if (bytes) this.#findings.count(bytes)
      ;({ value } = await readAnchor(anchor, anchorName(this.#ctx)))
      this.#end = value?.sealed && decodeSealedEnd(value.sealed, anchorName(this.#ctx))
    })
    return value
  }

  #nothing(blobs: readonly BlobInfo[]): void {
    const { store } = this.#ctx
    if (this.#isBeside) return
    if (blobs.length === 0 && this.#findings.damages.length === 0) {
      throw new TidemarkError('NOT_FOUND', `There is no store "${store}" in this storage; check its name and place.`)
    }
    this.#lost()
  }

  #lost(): void {
    const { store, shard } = this.#ctx
    this.#findings.damage(
      shardPath(store, shard),
      corrupt(`Store "${store}" has lost its log. Restore it from a backup.`),
    )
  }

  /** The log of a store without an anchor: the longest one, since the others were never named. */
  async #longest(paths: readonly string[], anchor: AnchorValue | undefined, blobs: readonly BlobInfo[]): Promise<void> {
    let longest: { log: LogContext; numbers: readonly number[] } | undefined
    let voids = 0
    for (const path of paths) {
      const log = openLog(this.#ctx, openAnchor(this.#ctx), logIdOfPath(this.#ctx.store, path, this.#ctx.shard)!)
      try {
        await this.#findings.try(path, async () => {
          const { numbers } = await log.log.list(1)
          if (!anchor && (await isVoidLog(log, numbers))) voids++
          else if (longest === undefined || numbers.length > longest.numbers.length) longest = { log, numbers }
        })
      } finally {
        await closeLog(this.#ctx, log)
      }
    }
    if (longest === undefined) {
      if (voids > 0 && voids === paths.length) this.#nothing(blobs)
      return
    }
    const { path, logId } = longest.log
    this.#findings.of += longest.numbers.length
    const log = openLog(this.#ctx, openAnchor(this.#ctx), logId)
    try {
      this.#pins = await readPins(
        this.#ctx.storage,
        path,
        blobs.map(({ name }) => name),
        this.#findings,
      )
      for (const { pin, state } of this.#pins) {
        const { runs, config } = state.manifest
        await this.#segments.check(runs, config.partitions, path, this.#isPinned(pin))
      }
      if (!anchor && longest.numbers.length === 0) this.#lost()
      await this.#walk(log, longest.numbers, anchor)
      for (const pin of this.#pins) await this.#pin(log, pin)
      await this.#indexes(log)
    } finally {
      await closeLog(this.#ctx, log)
    }
  }

  async #walk(log: LogContext, numbers: readonly number[], anchor: AnchorValue | undefined): Promise<void> {
    const { path } = log
    // What stands behind a seal does not count (S1).
    const { n: end, keeps } = this.#end ?? { n: Infinity, keeps: 0 }
    const counted = numbers.filter((n) => n <= end)
    const newest = await newestHeader(log, counted)
    this.#trim = Math.max(anchor?.trim ?? 0, newest?.trim ?? 0)
    this.#keeps = Math.max(keeps, newest?.keeps ?? 0)
    const first = this.#trim + 1
    if (this.#end) this.#head = end
    // All its versions have expired, and its entries may be gone.
    if (first > end) return
    const last = Math.max(counted.at(-1) ?? 0, this.#end ? end : (anchor?.manifestAt ?? 0))
    let known = this.#trim === 0 ? NOTHING : unknownAfter(this.#trim)
    let next = first
    // One number beyond the last one that has to be there, so that a gap at the end is found like any other.
    for (const n of [...counted.filter((m) => m >= first), last + 1]) {
      throwIfAborted(this.#findings.signal)
      if (n > next) {
        const what = n === next + 1 ? `Entry ${next} is` : `Entries ${next} to ${n - 1} are`
        const gone = corrupt(`${what} missing from the log. Restore the store from a backup.`)
        if (await this.#isNeeded(log, n - 1)()) this.#findings.damage(entryName(path, next), gone)
        known = unknownAfter(n - 1)
      }
      next = n + 1
      if (n > last) return
      known = await this.#entry(log, n, known, anchor)
      if (this.isSealed) return
      if (n % PAUSE_EVERY === 0) await this.#findings.pause()
    }
  }

  /** Tells whether entry `n` is still kept. It is asked when something of that entry is missing. */
  #isNeeded({ log, anchor, path }: LogContext, n: number): StillNeeded {
    return async () => {
      const { value } = await readAnchor(anchor, path).catch((error: unknown) => {
        if (isDamage(error)) return { value: undefined }
        throw error
      })
      if (value && n <= value.trim) return false
      const newest = await newestHeader({ log }, (await log.list(1)).numbers)
      return newest === undefined || n > newest.trim
    }
  }

  async #entry(log: LogContext, n: number, before: Known, anchor: AnchorValue | undefined): Promise<Known> {
    const name = entryName(log.path, n)
    const isNeeded = this.#isNeeded(log, n)
    let applied: AppliedEntry | undefined
    const read = async (): Promise<void> => {
      const { bytes } = await log.log.read(n)
      if (bytes === undefined) throw corrupt(`Entry ${n} is missing from the log. Restore the store from a backup.`)
      this.#findings.count(bytes)
      this.#entries++
      applied = await parseEntry(log, n, bytes)
      checkEntry(applied, before)
      if (anchor?.manifestAt === n && applied.manifest?.covers !== anchor.covers)
        throw corrupt(
          `The anchor of store "${this.#ctx.store}" says that entry ${n} has a manifest that covers ${anchor.covers}.`,
        )
    }
    await this.#findings.try(name, read, isNeeded)
    if (applied === undefined) return unknownAfter(n)
    const { entry, hash, manifest, references } = applied
    this.#head = n
    this.isSealed ||= entry.seal !== undefined
    this.#version = entry.carried?.version ?? this.#version
    const isVersion = entry.kind === 'commit' || entry.kind === 'reset'
    if (isVersion && n >= this.#keeps && this.#oldest === 0) this.#oldest = n
    if (this.#pins.some(({ pin }) => pin.version === n)) this.#pinned.set(n, { entry, hash })
    const runs = [...(manifest?.runs ?? []), ...(references?.runs ?? [])]
    const { partitions } = (manifest ?? before.manifest)?.config ?? { partitions: 0xffff }
    await this.#segments.check(runs, partitions, log.path, isNeeded)
    const fold = foldOf(applied, before)
    const of = (key: string): string =>
      `Entry ${n} changes what it folds: key ${key} is not the same with its manifest and without it.`
    if (fold) await this.#same(name, fold, of, isNeeded)
    if (manifest && entry.origin) await this.#reset(log, applied, manifest, entry.origin, before)
    return knownAfter(applied, before)
  }

  async #same(object: string, pair: Pair, problem: (key: string) => string, isNeeded: StillNeeded): Promise<void> {
    // Damaged segments cannot be compared, and were reported already.
    if (!this.#segments.areSound(differing(pair).runs)) return
    await this.#findings.try(object, () => checkSame(this.#ctx.storage, pair, problem), isNeeded)
  }

  /** Checks that a reset has the state of the version that it names in its partitions, and the state before it in the others. */
  async #reset(
    log: LogContext,
    { entry, memtable }: AppliedEntry,
    manifest: Manifest,
    origin: Origin,
    before: Known,
  ): Promise<void> {
    const { n, carried } = entry
    const name = entryName(log.path, n)
    const made: Stack = { runs: manifest.runs, changes: [{ memtable, runs: [] }] }
    const whence = await this.#origin(log, name, origin)
    const isKnown = before.manifest && before.manifest.covers >= before.since
    const mine = isKnown ? { runs: before.manifest.runs, changes: before.tail } : undefined
    const chosen = new Set(origin.partitions)
    for (const { range, isChosen } of partitionRanges(chosen, manifest.config.partitions)) {
      const one = isChosen || chosen.size === 0 ? whence && stackOf(whence) : mine
      if (one === undefined) continue
      const bounds = { lower: partitionPrefix(range[0]), upper: partitionPrefix(range[1] + 1) }
      const problem = (key: string): string =>
        isChosen || chosen.size === 0
          ? `Entry ${n} does not put version ${origin.version} back: key ${key} is not the same in both.`
          : `Entry ${n} changes partitions that it does not put back: key ${key} is not as it was before.`
      await this.#same(name, { one, other: made, time: carried!.time, bounds }, problem, this.#isNeeded(log, n))
    }
  }

  /** The state that a reset took over; `undefined` when it is no longer kept. */
  async #origin(log: LogContext, name: string, { log: path, version }: Origin): Promise<ShardState | undefined> {
    if (path === log.path && version > this.#trim) return this.#stateAt(log, version)
    let state: ShardState | undefined
    await this.#findings.try(name, async () => {
      const own = path === log.path ? this.#pins.map(({ pin }) => pin) : await this.#shelf.of(checkLogPath(path))
      const pin = own.find((p) => p.version === version && (path === log.path || p.name === log.path))
      state = pin && (await stateOfPin(log.platform, pin, path))
    })
    return state
  }

  /** The state of a version; `undefined` when it is no longer kept, or is damaged, which was reported then. */
  async #stateAt(log: LogContext, version: number): Promise<ShardState | undefined> {
    try {
      const state = await stateAt(this.#ctx, log, version)
      return state.manifest.covers >= this.#trim ? state : undefined
    } catch (error) {
      if (isDamage(error) || isExpired(error)) return undefined
      throw error
    }
  }

  /** Checks the indexes of the newest state, where nothing that it needs is damaged. */
  async #indexes(log: LogContext): Promise<void> {
    // Those of a log that was sealed are with what came of it.
    const state = this.#head > 0 && !this.#end && !this.isSealed ? await this.#stateAt(log, this.#head) : undefined
    if (!state?.hasIndexes || !this.#segments.areSound([segmentsOf(state)])) return
    const view = viewOf(state, [], new SegmentCache(this.#ctx.storage, CACHE_BYTES))
    await checkIndexes(view, (object, act) => this.#findings.try(object, act, this.#isNeeded(log, this.#head)))
  }

  #isPinned({ blob }: StoredPin): StillNeeded {
    return async () => (await this.#ctx.storage.blobs.get(blob)).bytes !== undefined
  }

  /** Checks that a pin keeps the version that it says, if that can still be told. */
  async #pin(log: LogContext, read: ReadPin): Promise<void> {
    const { pin, state } = read
    if (pin.version > this.#head) {
      const problem = `Version ${pin.version} was there when ${pin.blob} was made, and the log ends with entry ${this.#head}. Restore the store from a backup.`
      this.#findings.damage(entryName(log.path, this.#head + 1), corrupt(problem))
      return
    }
    const pinned = this.#pinned.get(pin.version)
    if (pinned && !(await this.#findings.try(pin.blob, () => checkPinned(read, pinned)))) return
    // The pin of a reading keeps no version, nor does a hold.
    if (pin.kind === 'reading' || pin.kind === 'hold') return
    const there = pin.version > this.#trim ? await this.#stateAt(log, pin.version) : undefined
    if (there === undefined) return
    const pair = { one: stackOf(there), other: stackOf(state), time: pin.versionTime }
    const problem = (key: string): string =>
      `Pin ${pin.blob} does not keep version ${pin.version}: key ${key} is not the same in both.`
    await this.#same(pin.blob, pair, problem, this.#isPinned(pin))
  }
}

function entryName(path: string, n: number): string {
  return `${path}/log/${String(n).padStart(16, '0')}`
}
