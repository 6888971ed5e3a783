/**
 * All that a handle knows of a log that others may be writing.
 *
 * The history ends in the *top* file, the last in the order of (g, seq). An entry is **settled** when every later owner
 * will take it over and no power loss takes it back; only settled entries are returned (R53). That is so
 * - for what stood in the top file before that was synced, if its owner's marker is still the newest afterwards: whoever
 *   makes a newer one will read the file later, and find it;
 * - for what a newer marker says, whose owner has no file yet: its maker had found it settled before. It stands in the
 *   file that is the top one when the marker is there, and perhaps not in one that was before.
 * An owner leaves behind only what it has found settled. So each file holds all that was settled when it got its name,
 * from its `first` on; entry n stands in the last file whose `first` is not above n, and what a stalled owner still gives
 * a name to changes no settled entry.
 *
 * A log that has lost files says `CORRUPT`: its last file is named as one that a later one has followed, or is gone while a
 * `trim` says that it was there, or holds less than the newest marker says was durable. All are judged by a second look, at a folder in which nothing has changed.
 */
import { corrupt } from '../../../src/errors.js'
import { isAbsent } from '../errors.js'
import type { Before, Listing, LogDirectory, LogFileName } from './directory.js'
import { LogFile, type LogRecord } from './file.js'

/** How often a file may vanish between listing and reading. */
const MOST_TRIES = 100

export class LogView {
  readonly #directory: LogDirectory
  #listing: Listing | undefined
  #top: LogFile | undefined
  /** Scanned once: nothing is added to them that counts. */
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

  /** All entries up to this number are settled. */
  get settled(): number {
    return this.#settled
  }

  /** Settled entries up to here were durable, as later records say. */
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

  /** Looks at the log anew. Calls made while one waits share it. */
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
    return (await this.#find(n))?.payload
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
   * Finds out what became of entry n, which stands in files of the generations `written`, by a listing whose last file decides it. This
   * stays so, as that file's name is durable first. `undefined` when trimming is under way.
   */
  async verdict(
    n: number,
    written: ReadonlySet<number>,
    { files }: Listing,
  ): Promise<'committed' | 'lost' | undefined> {
    if (files.at(-1)?.isPast) return undefined
    await this.#directory.sync()
    // If no newer file goes back to n, it was settled, in one of those before.
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

  /** The file with all that is in it by now. */
  async now(place: LogFileName): Promise<LogFile> {
    await this.refresh()
    if (this.#top?.name === place.name) return this.#top
    const file = await LogFile.open(this.#directory, place, false)
    await file.scan()
    return file
  }

  /** Hides the entries from this handle, and returns up to which number all are removed now. */
  hide(numbers: readonly number[]): number {
    for (const n of numbers) if (n > this.#trim) this.#removed.add(n)
    let end = Math.max(this.#trim, this.#lowest() - 1)
    while (this.#removed.has(end + 1)) end++
    return end
  }

  /** All entries up to `n` are removed, for every handle. */
  trimmed(n: number): void {
    this.#trim = Math.max(this.#trim, n)
    for (const removed of this.#removed) if (removed <= n) this.#removed.delete(removed)
  }

  /** Makes durable what others wrote without syncing. */
  async sync(): Promise<void> {
    await this.refresh()
    await this.#top?.sync()
  }

  /** Forgets everything, as a new handle would begin. */
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
    // Those under way may still open files: of calls that wait for their turn, and of those that look once more.
    while (this.#next ?? this.#top) {
      await (this.#next ?? this.#running).catch(() => {})
      await this.#takeTop(undefined)
    }
  }

  async #refresh(): Promise<void> {
    /** More was durable than was there, at a look at these names. */
    let missing: { readonly names: string; readonly proven: number } | undefined
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const listing = await this.#directory.list()
      const place = listing.files.at(-1)
      const names = listing.names.join()
      // A marker that is taken back and made anew has its old name: what it says is held against a later look at the file.
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

  /** `undefined` when the log has gone on to a newer owner meanwhile: what is settled is not to be looked for in `top` then. */
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

  /** A settled entry; `undefined` when it was removed. */
  async #find(n: number): Promise<LogRecord | undefined> {
    return this.#retrying(async () => {
      const place = this.#listing?.files.findLast((file) => file.first <= n)
      if (!place || this.isRemoved(n)) return undefined
      try {
        const file = place.name === this.#top?.name ? this.#top : await this.#olderFile(place)
        const record = await file.read(n)
        if (record) return record
        await this.refresh()
        if (this.isRemoved(n) || this.#settled < n) return undefined
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

  /** Owners unlink files that nobody needs any more, at any time: who meets that lists anew. */
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
