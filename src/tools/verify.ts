/**
 * Reads every byte that the versions of a store need and says what of it is damaged: the anchor, each entry and how it
 * follows from the one before, each segment that a manifest names and what the manifest says of it, and that no fold has
 * changed the state. Segments are read once for themselves and again where a fold is compared. Nothing is written.
 */
import { systemClock, type Clock } from '../clock.js'
import { TidemarkError, checkFields, corrupt, isTidemarkError, throwIfAborted, type ErrorCode } from '../errors.js'
import { readAnchor, type AnchorValue } from '../log/anchor.js'
import type { Manifest, Run, SegmentRef } from '../manifest/manifest.js'
import { anchorPath, logIdOfPath, logPath, shardPath } from '../manifest/names.js'
import { parseEntry, type AppliedEntry } from '../shard/state.js'
import type { BlobInfo, Log, Storage } from '../storage/contract.js'
import { deadlines } from '../storage/deadlines.js'
import { isProbe } from '../storage/probe.js'
import { checkFold, differing } from './fold-check.js'
import { checkEntry, foldOf, knownAfter, NOTHING, unknownAfter, type Known } from './log-check.js'
import { checkPlace, type StorePlace } from './place.js'
import { checkNeighbours, checkSegment, type Extent } from './segment-check.js'

export interface Damage {
  /** The anchor, log, entry or blob: its name as in docs/format.md. */
  readonly object: string
  readonly code: ErrorCode
  readonly message: string
}

export interface VerifyReport {
  readonly name: string
  readonly ok: boolean
  /** The newest version, and the newest entry, that could be read. */
  readonly version: number
  readonly head: number
  /** How many were read, and the bytes of all objects together. */
  readonly entries: number
  readonly segments: number
  readonly bytes: number
  /** Blobs that nothing names: uploads that were cut off or are under way. They are no damage. */
  readonly orphans: { readonly count: number; readonly bytes: number }
  readonly damages: readonly Damage[]
}

export interface VerifyProgress {
  readonly objects: number
  readonly bytes: number
  /** How many objects there are, as far as that is known. */
  readonly of: number
}

export interface VerifyOptions {
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
  readonly clock?: Clock | undefined
}

const OPTIONS = new Set(['onProgress', 'signal', 'clock'])

/** Throws only when there is no such store, or the storage cannot be asked. */
export async function verify(place: StorePlace, options: VerifyOptions = {}): Promise<VerifyReport> {
  checkPlace('verify', place)
  checkFields('verify', options, OPTIONS)
  return new Verifier(place, options).run()
}

const PAUSE_EVERY = 16

class Verifier {
  readonly #name: string
  readonly #storage: Storage
  readonly #options: VerifyOptions
  readonly #clock: Clock
  readonly #damages: Damage[] = []
  readonly #segments = new Map<string, { readonly ref: SegmentRef; readonly extent: Extent | undefined }>()
  #version = 0
  #head = 0
  #entries = 0
  #bytes = 0
  #objects = 0
  #of = 1

  constructor({ storage, name }: StorePlace, options: VerifyOptions) {
    this.#name = name
    this.#clock = options.clock ?? systemClock
    this.#storage = deadlines(storage, { clock: this.#clock })
    this.#options = options
  }

  async run(): Promise<VerifyReport> {
    throwIfAborted(this.#options.signal)
    // What is uploaded after this list is no orphan, whatever comes of it.
    const blobs = await this.#blobs()
    const anchor = await this.#anchor()
    const logs = anchor ? [logPath(this.#name, anchor.logId)] : await this.#logs()
    if (!anchor && logs.length === 0) this.#nothing(blobs)
    this.#of = this.#objects + blobs.length
    await this.#longest(logs, anchor)
    const orphans = blobs.filter(({ name }) => !this.#segments.has(name))
    const { length: count } = orphans
    return {
      name: this.#name,
      ok: this.#damages.length === 0,
      version: this.#version,
      head: this.#head,
      entries: this.#entries,
      segments: this.#segments.size,
      bytes: this.#bytes,
      orphans: { count, bytes: orphans.reduce((sum, { size }) => sum + size, 0) },
      damages: this.#damages,
    }
  }

  /** The anchor; `undefined` when it is missing, which the next opener mends, or cannot be read. */
  async #anchor(): Promise<AnchorValue | undefined> {
    const path = anchorPath(this.#name)
    let value: AnchorValue | undefined
    await this.#try(path, async () => {
      const anchor = this.#storage.anchor(path)
      const { bytes } = await anchor.read()
      if (bytes) this.#count(bytes)
      ;({ value } = await readAnchor(anchor, `The anchor of store "${this.#name}"`))
    })
    return value
  }

  async #logs(): Promise<string[]> {
    const { paths } = await this.#storage.logs(`${shardPath(this.#name)}/`)
    return paths.filter((path) => logIdOfPath(this.#name, path) !== undefined)
  }

  async #blobs(): Promise<BlobInfo[]> {
    const all: BlobInfo[] = []
    for (let after: string | undefined; ;) {
      const { items, more } = await this.#storage.blobs.list(`${shardPath(this.#name)}/`, { after })
      all.push(...items.filter(({ name }) => !isProbe(name)))
      if (!more) return all
      after = items.at(-1)?.name ?? after
    }
  }

  #nothing(blobs: readonly BlobInfo[]): void {
    if (blobs.length === 0 && this.#damages.length === 0) {
      throw new TidemarkError(
        'NOT_FOUND',
        `There is no store "${this.#name}" in this storage; check its name and place.`,
      )
    }
    const message = `Store "${this.#name}" has lost its log. Restore it from a backup.`
    this.#damage(shardPath(this.#name), corrupt(message))
  }

  /** Of several logs, without an anchor that says which, the longest is the store's: the others were never named. */
  async #longest(paths: readonly string[], anchor: AnchorValue | undefined): Promise<void> {
    let longest: { path: string; numbers: readonly number[] } | undefined
    for (const path of paths) {
      const log = this.#storage.log(path)
      try {
        await this.#try(path, async () => {
          const { numbers } = await log.list(1)
          if (longest === undefined || numbers.length > longest.numbers.length) longest = { path, numbers }
        })
      } finally {
        await log.close()
      }
    }
    if (longest === undefined) return
    const { path, numbers } = longest
    this.#of += numbers.length
    const log = this.#storage.log(path)
    try {
      await this.#walk(log, path, numbers, anchor)
    } finally {
      await log.close()
    }
  }

  async #walk(log: Log, path: string, numbers: readonly number[], anchor: AnchorValue | undefined): Promise<void> {
    const trim = anchor?.trim ?? 0
    const first = trim + 1
    const last = Math.max(numbers.at(-1) ?? 0, anchor?.manifestAt ?? 0)
    let known = trim === 0 ? NOTHING : unknownAfter(trim)
    let next = first
    // One number beyond the last that there has to be, so that a gap at the end is one like the others.
    for (const n of [...numbers.filter((m) => m >= first), last + 1]) {
      throwIfAborted(this.#options.signal)
      if (n > next) {
        const what = n === next + 1 ? `Entry ${next} is` : `Entries ${next} to ${n - 1} are`
        this.#damage(entryName(path, next), corrupt(`${what} missing from the log. Restore the store from a backup.`))
        known = unknownAfter(n - 1)
      }
      next = n + 1
      if (n > last) return
      known = await this.#entry(log, path, n, known, anchor)
      if (n % PAUSE_EVERY === 0) await this.#clock.pause()
    }
  }

  async #entry(log: Log, path: string, n: number, before: Known, anchor: AnchorValue | undefined): Promise<Known> {
    const name = entryName(path, n)
    let applied: AppliedEntry | undefined
    await this.#try(name, async () => {
      const { bytes } = await log.read(n)
      if (bytes === undefined) throw corrupt(`Entry ${n} is missing from the log. Restore the store from a backup.`)
      this.#count(bytes)
      this.#entries++
      applied = parseEntry(bytes, n, logIdOfPath(this.#name, path)!, path)
      checkEntry(applied, before)
      if (anchor?.manifestAt === n && applied.manifest?.covers !== anchor.covers)
        throw corrupt(
          `The anchor of store "${this.#name}" says that entry ${n} has a manifest that covers ${anchor.covers}.`,
        )
    })
    if (applied === undefined) return unknownAfter(n)
    this.#head = n
    this.#version = applied.entry.carried?.version ?? this.#version
    const runs = [...(applied.manifest?.runs ?? []), ...(applied.references?.runs ?? [])]
    for (const run of runs) await this.#run(run, applied.manifest ?? before.manifest)
    await this.#fold(name, applied, before)
    return knownAfter(applied, before)
  }

  /** Each segment of the run, unless it was read for an earlier manifest; and how they lie beside each other. */
  async #run(run: Run, manifest: Manifest | undefined): Promise<void> {
    let before: Extent | undefined
    for (const ref of run) {
      const extent = await this.#segment(ref, manifest?.config.partitions ?? 0xffff)
      if (extent && before) await this.#try(ref.name, async () => checkNeighbours(before!, extent, ref.name))
      before = extent
    }
  }

  async #segment(ref: SegmentRef, partitions: number): Promise<Extent | undefined> {
    const known = this.#segments.get(ref.name)
    if (known) {
      await this.#try(ref.name, async () => checkSame(known.ref, ref))
      return known.extent
    }
    let extent: Extent | undefined
    await this.#try(ref.name, async () => {
      const { bytes } = await this.#storage.blobs.get(ref.name, { signal: this.#options.signal })
      if (bytes) this.#count(bytes)
      extent = checkSegment(bytes, ref, partitions)
    })
    this.#segments.set(ref.name, { ref, extent })
    await this.#clock.pause()
    throwIfAborted(this.#options.signal)
    return extent
  }

  async #fold(name: string, applied: AppliedEntry, before: Known): Promise<void> {
    const fold = foldOf(applied, before)
    if (fold === undefined) return
    const { old, new: added } = differing(fold)
    // What is damaged itself was reported already, and cannot be compared.
    if ([...old, ...added].flat().some((ref) => this.#segments.get(ref.name)?.extent === undefined)) return
    await this.#try(name, () => checkFold(this.#storage.blobs, fold, `Entry ${applied.entry.n}`))
  }

  #count(bytes: Uint8Array): void {
    this.#bytes += bytes.length
    this.#objects++
    const of = Math.max(this.#of, this.#objects)
    this.#options.onProgress?.({ objects: this.#objects, bytes: this.#bytes, of })
  }

  /** Takes note of damage that `act` meets. Any other error says that the storage could not be asked. */
  async #try(object: string, act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      if (!isTidemarkError(error) || (error.code !== 'CORRUPT' && error.code !== 'UNSUPPORTED_FORMAT')) throw error
      this.#damage(object, error)
    }
  }

  #damage(object: string, { code, message }: TidemarkError): void {
    this.#damages.push({ object, code, message })
  }
}

function entryName(path: string, n: number): string {
  return `${path}/log/${String(n).padStart(16, '0')}`
}

/** Two manifests that name a segment have to say the same of it. */
function checkSame(a: SegmentRef, b: SegmentRef): void {
  const facts = ({ clip: _clip, ...ref }: SegmentRef): string =>
    JSON.stringify(ref, (_, value: unknown) => (value instanceof Uint8Array ? [...value] : value))
  if (facts(a) !== facts(b)) throw corrupt(`Two manifests say different things of segment ${a.name}.`)
}
