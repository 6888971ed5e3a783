/**
 * Writing to a log: PROTOCOL.md, section 5.
 *
 * - A claim makes the marker of a new generation, takes over the tail from the last file of those before it and from no
 *   other, and writes it with the fence to a file of its own. That file gets its name when it is durable.
 * - An append writes, syncs, **then** looks whether the own marker is still the newest, and only then is acknowledged. If
 *   it is not, the file of the newest owner decides: whoever made it has read ours before, or will never.
 * - After an outcome that stays unknown the handle answers `unknown` for ever: a new one finds out by claiming.
 * - Two that claim at once would fence each other for nothing. So a claimer waits a moment for an owner that has a marker
 *   and no file yet, and is refused the first time without making a marker when it sees the number taken. Nothing but the
 *   time it takes depends on this.
 */
import { sleep, type Clock } from '../../src/clock.js'
import { TidemarkError, corrupt, invalid } from '../../src/errors.js'
import type { Outcome } from '../../src/storage/contract.js'
import { fileError, isAbsent } from './errors.js'
import type { Listing, LogDirectory } from './log-directory.js'
import type { LogFile, LogRecord } from './log-file.js'
import { HEADER, LARGEST_PAYLOAD } from './log-format.js'
import { tidy } from './log-removal.js'
import type { LogRules } from './log-rules.js'
import type { LogView } from './log-view.js'
import { OwnFile, type Pending } from './own-file.js'
import { serial } from './serial.js'

const COMMITTED: Outcome = { outcome: 'committed' }
const LOST: Outcome = { outcome: 'lost' }
const unknown = (cause?: unknown): Outcome => ({ outcome: 'unknown', settle: false, cause })

export class LogOwner {
  readonly #directory: LogDirectory
  readonly #view: LogView
  readonly #clock: Clock
  readonly #rules: LogRules
  readonly #strict: boolean
  readonly #inTurn = serial()
  /** Our generation, 0 before the first claim, and what was settled before it. */
  #g = 0
  #settledBefore = 0
  #own: OwnFile | undefined
  /** Why nothing more is written: others own the log, or the effect of a write is not known. */
  #ended: 'lost' | 'unknown' | undefined
  #wasRefused = false

  constructor(directory: LogDirectory, view: LogView, clock: Clock, rules: LogRules, strict: boolean) {
    this.#directory = directory
    this.#view = view
    this.#clock = clock
    this.#rules = rules
    this.#strict = strict
  }

  claim(n: number, bytes: Uint8Array, from: number, check: () => void): Promise<Outcome> {
    checkEntry(n, bytes)
    return this.#inTurn(() => {
      check()
      return this.#claim(n, bytes, from)
    })
  }

  append(n: number, bytes: Uint8Array, from: number, check: () => void): Promise<Outcome> {
    checkEntry(n, bytes)
    return this.#inTurn(async () => {
      check()
      if (this.#ended) return this.#ended === 'lost' ? LOST : unknown()
      if (!this.#own) throw invalid('append needs a claim that has committed on this handle.')
      return this.#append(n, bytes, from)
    })
  }

  /** An entry that this handle was told is committed, if it stands in its current file. */
  async read(n: number): Promise<Uint8Array | undefined> {
    return (await this.#own?.file.read(n))?.payload
  }

  /** After an error it never resolves again: what was not written counts as clean, and another sync would succeed. */
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

  /** The log was destroyed by this handle. */
  release(): Promise<void> {
    return this.#inTurn(() => this.#end('lost'))
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#own?.close()
    })
  }

  async #claim(n: number, bytes: Uint8Array, from: number): Promise<Outcome> {
    if (this.#ended === 'unknown') return unknown()
    if (this.#own && !this.#ended && (await this.#directory.newest()) === this.#g) return this.#append(n, bytes, from)
    await this.#end('lost')
    for (;;) {
      const listing = await this.#begin(n, from)
      if (!listing) return LOST
      let tail: readonly LogRecord[]
      let isNext: boolean
      try {
        const source = await this.#source(listing)
        isNext = (source?.last ?? 0) === n - 1
        // A file has one record at least: without the fence that is the last one of the tail.
        tail = source ? await this.#tail(source, from, isNext ? n : source.last) : []
      } catch (error) {
        // A newer owner has unlinked it.
        if (isAbsent(error)) continue
        throw error
      }
      this.#wasRefused ||= !isNext
      if (isNext) return this.#takeOver({ g: this.#g, seq: 0 }, [...tail, { n, writer: this.#g, payload: bytes }])
      if (tail.length > 0) await this.#settleTail(tail)
      return LOST
    }
  }

  /** Makes our marker the newest; `undefined` when n is seen to be taken before that. */
  async #begin(n: number, from: number): Promise<Listing | undefined> {
    for (;;) {
      let listing = await this.#directory.list()
      if (this.#g !== 0 && listing.newest === this.#g) return listing
      listing = await this.#awaitFile(listing)
      await this.#view.refresh()
      const { last, settled } = this.#view
      // What is below either was read from here, or is named by the anchor: a file of ours would bury it.
      if (Math.max(n, from) > last + 1) throw this.#short(last, Math.max(n, from) - 1)
      if (!this.#wasRefused && last !== n - 1) {
        this.#wasRefused = true
        return undefined
      }
      const g = listing.newest + 1
      if (!(await this.#directory.mark(g, settled))) continue
      // Listed once more above: a number below the newest is free again when its marker was deleted as an old one.
      this.#g = g
      this.#settledBefore = settled
    }
  }

  /** The last file of the owners before us, scanned. */
  async #source({ files }: Listing): Promise<LogFile | undefined> {
    const place = files.findLast((file) => file.g < this.#g)
    return place && this.#view.now(place)
  }

  /**
   * What to take over of a file, beginning not after `latest`. Only what is settled and durable may be left behind; and
   * after a failed sync of its owner the page cache lies, so that the records themselves have to say that they are.
   */
  async #tail(source: LogFile, from: number, latest: number): Promise<readonly LogRecord[]> {
    const begin = this.#rules.rewriteTail ? Math.min(from, this.#settledBefore + 1, source.proven + 1, latest) : latest
    return recordsOf(source, Math.max(source.first, begin))
  }

  /** Makes `records` our file, of which the last one is new. */
  async #takeOver(place: { g: number; seq: number }, records: readonly LogRecord[]): Promise<Outcome> {
    const named = await this.#name(place, records)
    if (named) return named
    const outcome = await this.#check(records.at(-1)!.n)
    if (outcome.outcome === 'committed') await tidy(this.#directory, this.#rules).catch(() => {})
    return outcome
  }

  /**
   * A claim whose number was taken makes a file as well, of the tail alone: what stood in doubt until then is settled by
   * it, so that the caller can read on, and the next claim is an append to it.
   */
  async #settleTail(records: readonly LogRecord[]): Promise<void> {
    if (await this.#name({ g: this.#g, seq: 0 }, records)) return
    if ((await this.#directory.newest()) === this.#g) await tidy(this.#directory, this.#rules).catch(() => {})
    else await this.#end('lost')
  }

  /** Writes a file and gives it its name; an outcome if that failed. */
  async #name(place: { g: number; seq: number }, records: readonly LogRecord[]): Promise<Outcome | undefined> {
    const own = await OwnFile.create(this.#directory, place, records, this.#rules)
    try {
      await own.publish()
    } catch (cause) {
      await own.abandon()
      // Newer owners unlink what older ones have not named yet: then nobody will ever see it.
      await this.#end(isAbsent(cause) ? 'lost' : 'unknown')
      return isAbsent(cause) ? LOST : unknown(fileError(cause, 'name', own.file.path))
    }
    const before = this.#own
    this.#own = own
    this.#ended = undefined
    // Its entry is out: from here on nothing may throw.
    await before?.close().catch(() => {})
    return undefined
  }

  async #append(n: number, bytes: Uint8Array, from: number): Promise<Outcome> {
    const own = this.#own!
    if (n <= own.last) return LOST
    if (n > own.last + 1) throw invalid(`append of ${n} would leave a gap: the last entry is ${own.last}.`)
    if (this.#isWorthRotating(own, from)) return this.#rotate(own, n, bytes, from)
    try {
      await own.makeRoom(bytes.length)
    } catch (error) {
      // A newer owner may have unlinked the file. Nothing of the record was written.
      if ((await this.#directory.newest()) === this.#g) throw error
      await this.#end('lost')
      return LOST
    }
    if (!this.#rules.checkAfterWrite) {
      const early = await this.#check(n)
      if (early !== COMMITTED) return early
    }
    let pending: Pending
    try {
      pending = await own.write(n, this.#g, bytes, this.#strict)
    } catch (cause) {
      await this.#end('unknown')
      return unknown(fileError(cause, 'write', own.file.path))
    }
    const outcome = this.#rules.checkAfterWrite ? await this.#check(n) : COMMITTED
    if (outcome.outcome === 'committed' && !this.#ended) own.acknowledge(pending)
    return outcome
  }

  #isWorthRotating({ file }: OwnFile, from: number): boolean {
    return file.end > this.#rules.rotateBytes && file.offset(Math.max(from, file.first)) - HEADER > file.end / 2
  }

  /** Goes on to our next file. All that stays behind is acknowledged; it becomes durable first, in `relaxed` too. */
  async #rotate(own: OwnFile, n: number, bytes: Uint8Array, from: number): Promise<Outcome> {
    try {
      await own.sync()
    } catch (error) {
      await this.#end('unknown')
      throw error
    }
    const records = await recordsOf(own.file, Math.max(own.file.first, Math.min(from, n)))
    const entry = { n, writer: this.#g, payload: bytes }
    return this.#takeOver({ g: this.#g, seq: own.file.header.seq + 1 }, [...records, entry])
  }

  /** Entry n is durable in our file. Whether it is part of the history. */
  async #check(n: number): Promise<Outcome> {
    try {
      if (this.#own && (await this.#directory.isCurrent(this.#g, this.#own.file.name))) return COMMITTED
      await this.#awaitFile(await this.#directory.list())
      const verdict = await this.#view.verdict(n, this.#g)
      await this.#end(verdict ? 'lost' : 'unknown')
      return verdict === undefined ? unknown() : verdict === 'lost' ? LOST : COMMITTED
    } catch (cause) {
      await this.#end('unknown')
      return unknown(fileError(cause, 'list', this.#directory.path))
    }
  }

  /** While the newest owner has a marker and no file it is about to make one, or dead. */
  async #awaitFile(listing: Listing): Promise<Listing> {
    const end = this.#clock.monotonic() + this.#rules.patienceMs
    for (let ms = 1; listing.newest !== (listing.files.at(-1)?.g ?? 0); ms = Math.min(2 * ms, 20)) {
      if (this.#clock.monotonic() >= end) break
      await sleep(this.#clock, ms)
      listing = await this.#directory.list()
    }
    return listing
  }

  #short(last: number, known: number): TidemarkError {
    const end = last === 0 ? 'holds no entries' : `ends with entry ${last}`
    return corrupt(
      `The log ${this.#directory.path} ${end}, and entry ${known} was there. Put the missing files back, or restore the store from a backup.`,
    )
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

async function recordsOf(file: LogFile, from: number): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  for (let n = from; n <= file.last; n++) records.push((await file.read(n))!)
  return records
}

function checkEntry(n: number, bytes: Uint8Array): void {
  if (!Number.isSafeInteger(n) || n < 1) throw invalid(`${n} is not the number of an entry.`)
  if (bytes.length > LARGEST_PAYLOAD) throw invalid(`An entry of ${bytes.length} bytes is too large for a log file.`)
}
