/**
 * Writes to a log, by the rules R41 to R54 of docs/protocol.md.
 *
 * - A claim makes the marker of a new generation. It takes over the tail from the last file before it, and from no other, and
 *   writes that with the fence to a file of its own (R41, R42). The file gets its name when it is durable (R43).
 * - An append writes, **then** looks whether its own marker is still the newest, while the record is synced (R44). If it is not, the
 *   file of the newest owner decides (R45): its maker has read our file before, or never will.
 * - A claim whose entry is in a file with a name may meet other generations that settle nothing. It settles the entry by
 *   claiming anew. So its fate stays unknown only after an error, or when its number was trimmed meanwhile.
 * - An owner that appends does not take back a log that it has lost. When the one that took over has died before it had a
 *   file, the outcome is unknown.
 * - After an unknown outcome the handle answers `unknown` for ever. A new handle finds out by claiming.
 * - A claim that fails before its file has a name takes its marker back, and the owner before it goes on. Nobody has counted
 *   on that marker, as only a file that has its name decides anything.
 * - A log may begin with any number. Where nothing before n is needed, and no file was ever there, our file begins with n. All who
 *   claim such a log claim the same number, so that the newest of their files decides as it does for later ones.
 * - Two claims at once would fence each other for nothing. So a claim waits a moment for an owner that has a marker and no file
 *   yet. And when it sees its number taken it is refused before it makes a marker. Only the time that it takes depends on this.
 */
import { serial } from '../../../src/async.js'
import type { Clock } from '../../../src/clock.js'
import { TidemarkError, corrupt, invalid, isFull, isTidemarkError } from '../../../src/errors.js'
import type { Outcome } from '../../../src/storage/contract.js'
import { fileError, isAbsent, isRefusal } from '../errors.js'
import { checkEntry, type Asked } from './asked.js'
import { Generation } from './generation.js'
import type { Listing, LogDirectory } from './directory.js'
import type { LogRecord } from './file.js'
import { HEADER, type LogFileHeader } from './format.js'
import { tidy } from './cleanup.js'
import type { LogTuning } from './tuning.js'
import type { LogView } from './view.js'
import { OwnFile, type Pending } from './writer.js'
import { patiently } from './patiently.js'

const COMMITTED: Outcome = { outcome: 'committed' }
const LOST: Outcome = { outcome: 'lost' }
/** The generations whose named files have the entry by now. Others may take it over from there. */
type Written = Set<number>

/** The outcome; `undefined` while a file of ours has the entry and others have not settled whether it is part of the history. */
type Verdict = Outcome | undefined
type Place = Pick<LogFileHeader, 'g' | 'seq'>
/** How often a claim may begin anew because others came in between. */
const MOST_TRIES = 100
const unknown = (cause?: unknown): Outcome => ({ outcome: 'unknown', settle: false, cause })

export class LogOwner {
  readonly #directory: LogDirectory
  readonly #view: LogView
  readonly #clock: Clock
  readonly #tuning: LogTuning
  readonly #strict: boolean
  readonly #inTurn = serial()
  readonly #generation: Generation
  #own: OwnFile | undefined
  /** The reason why nothing more is written: others own the log, or the outcome of a write is unknown. */
  #ended: 'lost' | 'unknown' | undefined
  #wasRefused = false
  /** The size of the file from which on it may go on to the next one. It grows when there was no room for that one. */
  #rotateFrom = 0

  constructor(directory: LogDirectory, view: LogView, clock: Clock, tuning: LogTuning, strict: boolean) {
    this.#directory = directory
    this.#view = view
    this.#clock = clock
    this.#tuning = tuning
    this.#strict = strict
    this.#generation = new Generation(directory, view)
  }

  claim(asked: Asked, check: () => void): Promise<Outcome> {
    checkEntry(asked)
    return this.#inTurn(() => {
      check()
      return this.#claim(asked)
    })
  }

  append(asked: Asked, check: () => void): Promise<Outcome> {
    checkEntry(asked)
    return this.#inTurn(async () => {
      check()
      if (this.#ended) return this.#ended === 'lost' ? LOST : unknown()
      if (!this.#own) throw invalid('append needs a claim that has committed on this handle.')
      return (await this.#append(asked, new Set())) ?? this.#doubt()
    })
  }

  /** An entry that this handle has committed, if it is in its present file. */
  async read(n: number): Promise<Uint8Array | undefined> {
    return (await this.#own?.file.read(n))?.payload
  }

  /** Syncs the file. After an error it never resolves again: unwritten pages count as clean, and another sync would succeed. */
  sync(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#ended === 'unknown') throw this.#doubtful()
      if (!this.#own) return this.#view.sync()
      try {
        await this.#own.sync()
      } catch (error) {
        await this.#end('unknown')
        throw this.#doubtful(error)
      }
    })
  }

  /** Lets go of the file, after this handle has destroyed the log. */
  release(): Promise<void> {
    return this.#inTurn(() => this.#end('lost'))
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#own?.close()
    })
  }

  async #claim(asked: Asked): Promise<Outcome> {
    if (this.#ended === 'unknown') return unknown()
    const written: Written = new Set()
    if (this.#own && !this.#ended && (await this.#directory.newest()) === this.#generation.g) {
      const outcome = await this.#append(asked, written)
      if (outcome) return outcome
    }
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      await this.#end('lost')
      try {
        const listing = await this.#begin(asked, written)
        if (!listing) return LOST
        const outcome = await this.#enter(asked, listing, written)
        if (outcome) return outcome
      } catch (error) {
        await this.#generation.withdraw()
        // A newer owner has unlinked a file that was to be read.
        if (isAbsent(error)) continue
        if (written.size > 0) return this.#doubt(error)
        throw error
      }
    }
    return written.size > 0 ? this.#doubt() : LOST
  }

  /** Makes our marker the newest; `undefined` when n is found taken before that. */
  async #begin({ n, from }: Asked, written: Written): Promise<Listing | undefined> {
    for (;;) {
      const { newest } = await this.#awaitFile()
      await this.#view.refresh()
      const { last } = this.#view
      const isFirst = last === 0 && n === from
      // Entries below these numbers were read here, or are needed by the anchor. A file of ours would bury them.
      if (!isFirst && Math.max(n, from) > last + 1) throw this.#short(last, Math.max(n, from) - 1)
      if (written.size === 0 && !this.#wasRefused && !isFirst && last !== n - 1) {
        this.#wasRefused = true
        return undefined
      }
      const listing = await this.#generation.make(newest + 1)
      if (listing) return listing
    }
  }

  /**
   * Writes our file, with the entry if it is the next one. A file without it, of the tail alone, settles the entries that were
   * in doubt until then. The caller can read on, and its next claim is an append to that file.
   */
  async #enter({ n, bytes, from }: Asked, listing: Listing, written: Written): Promise<Verdict> {
    const source = await this.#generation.source(listing)
    const isNext = source ? source.last === n - 1 : n === 1 || n === from
    // A file has one record at least. Without the fence that is the last record of the tail.
    const tail = source ? await this.#generation.tail(source, from, isNext ? n : source.last) : []
    this.#wasRefused ||= !isNext
    const entry = { n, writer: this.#generation.g, payload: bytes }
    if (isNext) return this.#takeOver({ g: this.#generation.g, seq: 0 }, [...tail, entry], written)
    if (tail.length === 0) return LOST
    const failed = await this.#name({ g: this.#generation.g, seq: 0 }, tail)
    // An entry that never was in a file with a name is surely not committed.
    if (written.size > 0) return failed === 'unnamed' ? undefined : (failed ?? this.#verdict(n, written))
    if (failed) return LOST
    if ((await this.#directory.newest()) === this.#generation.g) this.#tidy()
    else await this.#end('lost')
    return LOST
  }

  /** Makes our file of `records`, the last of which is new. */
  async #takeOver(place: Place, records: readonly LogRecord[], written: Written): Promise<Verdict> {
    const failed = await this.#name(place, records)
    if (failed) return failed === 'unnamed' ? undefined : failed
    const outcome = await this.#check(records.at(-1)!.n, written)
    if (outcome === COMMITTED) this.#tidy()
    return outcome
  }

  /** Writes a file and gives it its name. Throws when that surely failed; `unnamed` when a newer owner is the reason. */
  async #name(place: Place, records: readonly LogRecord[]): Promise<Outcome | 'unnamed' | undefined> {
    const own = await OwnFile.create(this.#directory, place, records, this.#tuning)
    try {
      await own.publish()
      this.#generation.named()
    } catch (cause) {
      await own.abandon()
      if (own.isNamed || !isRefusal(cause)) this.#generation.named()
      const error = fileError(cause, 'name', own.file.path)
      if (own.isNamed || !isRefusal(cause)) return this.#doubt(error)
      if (isAbsent(cause)) return 'unnamed'
      throw error
    }
    const before = this.#own
    this.#own = own
    this.#rotateFrom = 0
    this.#ended = undefined
    // The entry may be read by others now, so that nothing may throw any more.
    await before?.close().catch(() => {})
    return undefined
  }

  async #append(asked: Asked, written: Written): Promise<Verdict> {
    const { n, bytes, makesRoom } = asked
    const own = this.#own!
    if (n <= own.last) return LOST
    if (n > own.last + 1) throw invalid(`append of ${n} would leave a gap: the last entry is ${own.last}.`)
    if (this.#isWorthRotating(own, asked.from)) {
      try {
        return await this.#rotate(own, asked, written)
      } catch (error) {
        // The entry may still fit into the present file. The next one need not try again at once.
        if (!isFull(error)) throw error
        this.#rotateFrom = own.file.end + this.#tuning.rotateBytes / 8
      }
    }
    let pending: Pending
    let isCurrent: Promise<boolean>
    try {
      await own.makeRoom(bytes.length, makesRoom, this.#strict)
      pending = await own.write(n, this.#generation.g, bytes, this.#strict, makesRoom)
      isCurrent = own.isCurrent(this.#generation.g)
      await Promise.all([isCurrent.catch(() => {}), pending.durable])
    } catch (cause) {
      if (!isTidemarkError(cause)) return this.#doubt(fileError(cause, 'write', own.file.path))
      // Nothing of the record was written. A newer owner may have unlinked the file.
      if ((await this.#directory.newest()) === this.#generation.g) throw cause
      await this.#end('lost')
      return LOST
    }
    const outcome = await this.#check(n, written, isCurrent)
    if (outcome === COMMITTED && !this.#ended) own.acknowledge(pending)
    return outcome
  }

  #isWorthRotating({ file }: OwnFile, from: number): boolean {
    return (
      file.end > Math.max(this.#tuning.rotateBytes, this.#rotateFrom) &&
      file.offset(Math.max(from, file.first)) - HEADER > (file.end * 3) / 4
    )
  }

  /** Goes on to our next file. All entries that stay behind are acknowledged, and made durable first, in `relaxed` too. */
  async #rotate(own: OwnFile, { n, bytes, from }: Asked, written: Written): Promise<Verdict> {
    try {
      await own.sync()
    } catch (error) {
      await this.#end('unknown')
      throw error
    }
    const records = await own.file.readFrom(Math.max(own.file.first, Math.min(from, n)))
    const entry = { n, writer: this.#generation.g, payload: bytes }
    const place = { g: this.#generation.g, seq: own.file.header.seq + 1 }
    return this.#takeOver(place, [...records, entry], written)
  }

  /** Tells whether entry n, durable in our file, is part of the history. Who owns the log was asked when others could read n (R44). */
  async #check(n: number, written: Written, isCurrent?: Promise<boolean>): Promise<Verdict> {
    const { g } = this.#generation
    written.add(g)
    try {
      if (await (isCurrent ?? this.#own?.isCurrent(g))) return COMMITTED
      return await this.#verdict(n, written)
    } catch (cause) {
      return this.#doubt(fileError(cause, 'list', this.#directory.path))
    }
  }

  /**
   * Finds out the fate of entry n when there are markers above ours. A named file decides if its marker is the newest *after* the
   * file was seen: every later owner begins with that file, or with a successor of it. An owner without a file decides nothing.
   */
  async #verdict(n: number, written: Written): Promise<Verdict> {
    let before = await this.#directory.list()
    return patiently(this.#clock, this.#tuning.patienceMs, async () => {
      const listing = await this.#directory.list()
      // The files that would decide it may be gone.
      if (n <= listing.trim) return this.#doubt()
      const isDecisive = before.files.at(-1)?.g === listing.newest
      const verdict = isDecisive ? await this.#view.verdict(n, written, before) : undefined
      before = listing
      if (verdict && listing.newest !== this.#generation.g) await this.#end('lost')
      return verdict && (verdict === 'lost' ? LOST : COMMITTED)
    })
  }

  /** Waits while the newest owner has a marker and no file: it makes one, or gives up, or is dead. */
  async #awaitFile(): Promise<Listing> {
    let listing = await this.#directory.list()
    await patiently(this.#clock, this.#tuning.patienceMs, async () => {
      if (listing.newest === (listing.files.at(-1)?.g ?? 0)) return true
      listing = await this.#directory.list()
      return undefined
    })
    return listing
  }

  #short(last: number, known: number): TidemarkError {
    const end = last === 0 ? 'holds no entries' : `ends with entry ${last}`
    return corrupt(
      `The log ${this.#directory.path} ${end}, and entry ${known} was there. Put the missing files back, or restore the store from a backup.`,
    )
  }

  /** Only the next write waits for it. */
  #tidy(): void {
    this.#inTurn(() => tidy(this.#directory, this.#clock.now())).catch(() => {})
  }

  /** Ends writing with an unknown outcome. Only a new handle finds out what has happened. */
  async #doubt(cause?: unknown): Promise<Outcome> {
    await this.#end('unknown')
    return unknown(cause)
  }

  #doubtful(cause?: unknown): TidemarkError {
    const message = `A write or sync of the log ${this.#directory.path} failed, so that what was appended last may not be durable. Open it again to see what is there.`
    return new TidemarkError('STORAGE_UNAVAILABLE', message, { cause, retryable: false })
  }

  async #end(why: 'lost' | 'unknown'): Promise<void> {
    const own = this.#own
    this.#own = undefined
    this.#ended = why
    await own?.close().catch(() => {})
  }
}
