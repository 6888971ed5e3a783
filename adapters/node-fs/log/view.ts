/**
 * All that a handle knows of a log that others may be writing.
 *
 * The history ends in the *top* file, the last one in the order of (g, seq). An entry is **settled** when every later owner will
 * take it over and no power loss takes it back. Only settled entries are returned (R53). These are settled:
 * - Entries that were in the top file before it was synced, if its owner's marker is still the newest afterwards. The maker of
 *   a newer marker will read the file later, and find them.
 * - Entries up to the number in a newer marker whose owner has no file yet. Its maker had found them settled. They are in the
 *   file that is the top one when the marker is there, and perhaps not in one that was the top before.
 * An owner leaves behind only entries that it has found settled. So each file has all entries from its `first` on that were
 * settled when it got its name. Entry n is in the last file whose `first` is not above n, and a file that a stalled owner still
 * names changes no settled entry.
 *
 * A log that has lost files says `CORRUPT`. Its last file has the name of one that a later one has followed, or is gone while a
 * `trim` says that there was one, or has less than the newest marker says was durable. Each of these is judged by a second look
 * at a folder in which nothing has changed.
 */
import { corrupt } from '../../../src/errors.js'
import type { TailRead } from '../../../src/storage/contract.js'
import { isAbsent } from '../errors.js'
import type { Before, Listing, LogDirectory, LogFileName } from './directory.js'
import { LogFile, type LogRecord } from './file.js'

/** How often a file may vanish between listing and reading. */
const MOST_TRIES = 100

export class LogView {
  readonly #directory: LogDirectory
  #listing: Listing | undefined
  #top: LogFile | undefined
  /** Files before the top one. Each is scanned once, since nothing that is added to it later counts. */
  readonly #older = new Map<string, Promise<LogFile>>()
  #settled = 0
  #trim = 0
  readonly #removed = new Set<number>()
  /** The name of the last top file that is known to be durable. */
  #named: string | undefined
  #running: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  constructor(directory: LogDirectory) {
    this.#directory = directory
  }

  /** The number up to which all entries are settled. */
  get settled(): number {
    return this.#settled
  }

  /** The number up to which settled entries were durable, as later records say. */
  get proven(): number {
    return Math.min(this.#settled, this.#top?.proven ?? 0)
  }

  /** The last entry in the top file, settled or not; 0 when there is no file. */
  get last(): number {
    return this.#top?.last ?? 0
  }

  get trim(): number {
    return this.#trim
  }

  /** Looks at the log anew. Calls that come while one waits share it. */
  refresh(): Promise<void> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined
      const run = this.#retrying(() => this.#refresh())
      this.#running = run.catch(() => {})
      return run
    })
    return this.#next
  }

  isRemoved(n: number): boolean {
    return n <= this.#trim || this.#removed.has(n)
  }

  async read(n: number): Promise<Uint8Array | undefined> {
    if (n > this.#settled && !this.isRemoved(n)) await this.refresh()
    if (n > this.#settled || this.isRemoved(n)) return undefined
    return (await this.#find(n, n, 1))[0]?.payload
  }

  /** The entries that are there from `from` on, as many as `most` bytes hold, and one at least. */
  async readTail(from: number, most: number): Promise<TailRead> {
    await this.refresh()
    let n = Math.max(from, this.#lowest())
    while (n <= this.#settled && this.isRemoved(n)) n++
    const records = n > this.#settled ? [] : await this.#find(n, this.#settled, most)
    const there = records.filter((record) => !this.isRemoved(record.n))
    const entries = there.map((record) => ({ n: record.n, bytes: record.payload }))
    return { entries, more: (records.at(-1)?.n ?? this.#settled) < this.#settled }
  }

  /** The numbers of entries that are there, from `from` on. */
  async list(from: number, limit: number): Promise<number[]> {
    await this.refresh()
    const numbers: number[] = []
    for (let n = Math.max(from, this.#lowest()); n <= this.#settled && numbers.length < limit; n++) {
      if (!this.isRemoved(n)) numbers.push(n)
    }
    return numbers
  }

  /**
   * Finds out the fate of entry n, which is in files of the generations `written`, by a listing whose last file decides it. The
   * name of that file is made durable first, so that the verdict stays. `undefined` when trimming is under way.
   */
  async verdict(
    n: number,
    written: ReadonlySet<number>,
    { files }: Listing,
  ): Promise<'committed' | 'lost' | undefined> {
    if (files.at(-1)?.isPast) return undefined
    await this.#directory.sync()
    // If no newer file goes back to n, it was settled in an earlier one.
    const place = files.findLast((file) => file.first <= n)
    if (!place) return undefined
    try {
      const file = await this.now(place)
      const record = await file.read(n)
      if (!record && place !== files.at(-1)) return undefined
      return record && written.has(record.writer) ? 'committed' : 'lost'
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw error
    }
  }

  /** The file with all records that are in it by now. */
  async now(place: LogFileName): Promise<LogFile> {
    await this.refresh()
    if (this.#top?.name === place.name) return this.#top
    const file = await LogFile.open(this.#directory, place, false)
    await file.scan()
    return file
  }

  /** Hides entries from this handle, and returns the number up to which all are removed now. */
  hide(numbers: readonly number[]): number {
    for (const n of numbers) if (n > this.#trim) this.#removed.add(n)
    let end = Math.max(this.#trim, this.#lowest() - 1)
    while (this.#removed.has(end + 1)) end++
    return end
  }

  /** Takes note that all entries up to `n` are removed, for every handle. */
  trimmed(n: number): void {
    this.#trim = Math.max(this.#trim, n)
    for (const removed of this.#removed) if (removed <= n) this.#removed.delete(removed)
  }

  /** Makes records durable that others wrote without syncing. */
  async sync(): Promise<void> {
    await this.refresh()
    await this.#top?.sync()
  }

  /** Forgets everything, so that the handle begins like a new one. */
  async reset(): Promise<void> {
    await this.#running
    const top = this.#top
    this.#top = this.#listing = this.#named = undefined
    this.#older.clear()
    this.#removed.clear()
    this.#settled = this.#trim = 0
    await top?.close()
  }

  async close(): Promise<void> {
    // Looks that are under way or wait for their turn may still open files.
    while (this.#next ?? this.#top) {
      await (this.#next ?? this.#running).catch(() => {})
      await this.#takeTop(undefined)
    }
  }

  async #refresh(): Promise<void> {
    /** A look at these names at which less was there than was durable. */
    let missing: { readonly names: string; readonly proven: number } | undefined
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const listing = await this.#directory.list()
      const place = listing.files.at(-1)
      const names = listing.names.join()
      // A marker that is taken back and made anew keeps its name, so its numbers are compared with a later look at the file.
      const wanted = missing?.names === names ? missing.proven : 0
      missing = undefined
      if (place ? place.isPast : listing.hadFiles) {
        if (wanted > 0) throw this.#lost(place?.name)
        missing = { names, proven: Infinity }
        continue
      }
      if (!place) {
        await this.#takeTop(undefined)
        this.#listing = listing
        this.#settled = 0
        return
      }
      if (this.#top?.name !== place.name) await this.#takeTop(await LogFile.open(this.#directory, place, true))
      const top = this.#top!
      await top.scan()
      if (wanted > top.last) throw this.#lost(place.name)
      this.#listing = listing
      for (const name of this.#older.keys()) if (!listing.names.includes(name)) this.#older.delete(name)
      this.trimmed(listing.trim)
      if (top.last <= this.#settled && listing.newest === top.header.g) return
      const known = await this.#settle(top, listing.newest)
      if (known === undefined) continue
      if (known.proven <= top.last) {
        this.#settled = Math.max(this.#settled, Math.min(known.settled, top.last))
        return
      }
      missing = { names, proven: known.proven }
    }
  }

  /** Finds out how far `top` is settled; `undefined` when the log has gone on to a newer owner, whose file decides then. */
  async #settle(top: LogFile, newest: number): Promise<Before | undefined> {
    if (newest !== top.header.g) return this.#directory.before(newest)
    const { last, proven } = top
    const settled = (await top.sync()) ? last : proven
    if (this.#named !== top.name) await this.#directory.syncForReading()
    this.#named = top.name
    const now = await this.#directory.list()
    return now.newest === newest && now.names.includes(top.name) ? { settled, proven } : undefined
  }

  #lost(last: string | undefined): Error {
    const left = last === undefined ? 'no file is left' : `${last} is the last file that is left`
    return corrupt(
      `The log ${this.#directory.path} has lost its newest entries: ${left}, and there was more. Put the missing files back, or restore the store from a backup.`,
    )
  }

  async #takeTop(top: LogFile | undefined): Promise<void> {
    const before = this.#top
    this.#top = top
    await before?.close()
  }

  /** Settled entries from n to `last` that are in one file, as many as `most` bytes hold; none when n was removed. */
  async #find(n: number, last: number, most: number): Promise<readonly LogRecord[]> {
    return this.#retrying(async () => {
      const files = this.#listing?.files ?? []
      const at = files.findLastIndex((file) => file.first <= n)
      const place = files[at]
      if (!place || this.isRemoved(n)) return []
      try {
        const file = place.name === this.#top?.name ? this.#top : await this.#olderFile(place)
        const records = await file.readFrom(n, Math.min(last, (files[at + 1]?.first ?? Infinity) - 1), most)
        if (records.length > 0) return records
        await this.refresh()
        if (this.isRemoved(n) || this.#settled < n) return []
        throw corrupt(`Entry ${n} is missing at the end of ${file.path}. Restore that file, or the store, from a copy.`)
      } catch (error) {
        if (isAbsent(error)) await this.refresh()
        throw error
      }
    })
  }

  async #olderFile(place: LogFileName): Promise<LogFile> {
    let file = this.#older.get(place.name)
    if (!file) {
      file = LogFile.open(this.#directory, place, false).then(async (opened) => {
        await opened.scan()
        return opened
      })
      file.catch(() => this.#older.delete(place.name))
      this.#older.set(place.name, file)
    }
    return file
  }

  #lowest(): number {
    const firsts = this.#listing?.files.map((file) => file.first) ?? []
    return Math.max(this.#trim + 1, Math.min(...firsts, Number.MAX_SAFE_INTEGER))
  }

  /** Runs `act`, and again after a new listing when an owner has unlinked a file meanwhile. */
  async #retrying<T>(act: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await act()
      } catch (error) {
        if (!isAbsent(error) || tries === MOST_TRIES) throw error
      }
    }
  }
}
