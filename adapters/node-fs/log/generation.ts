/** Our place among the owners of a log: the marker that begins it, and what it takes over. */
import type { Listing, LogDirectory } from './directory.js'
import { recordsOf, type LogFile, type LogRecord } from './file.js'
import type { LogRules } from './rules.js'
import type { LogView } from './view.js'

export class Generation {
  readonly #directory: LogDirectory
  readonly #view: LogView
  readonly #rules: LogRules
  /** 0 before the first claim. */
  #g = 0
  /** The last entry that was settled before it. */
  #settledBefore = 0
  /** A marker of ours whose generation has no file yet; else 0. */
  #marker = 0

  constructor(directory: LogDirectory, view: LogView, rules: LogRules) {
    this.#directory = directory
    this.#view = view
    this.#rules = rules
  }

  get g(): number {
    return this.#g
  }

  /** Begins generation g, and lists the log after that; `undefined` when somebody else was first. */
  async make(g: number): Promise<Listing | undefined> {
    const { settled, proven } = this.#view
    if (!(await this.#directory.mark(g, { settled, proven }))) return undefined
    this.#marker = g
    const listing = await this.#directory.list()
    // A number below the newest is free again when its marker was deleted as an old one.
    if (listing.newest !== g) return undefined
    this.#g = g
    this.#settledBefore = settled
    return listing
  }

  /** A file of it has its name, or may have: from here on the marker stays. */
  named(): void {
    this.#marker = 0
  }

  /** Takes the marker back, unless there may be a file of it. */
  async withdraw(): Promise<void> {
    if (this.#marker > 0) await this.#directory.withdraw(this.#marker)
    this.#marker = 0
  }

  /** The last file of the owners before us, scanned. */
  async source({ files }: Listing): Promise<LogFile | undefined> {
    const place = files.findLast((file) => file.g < this.#g)
    return place && this.#view.now(place)
  }

  /**
   * The records to take over from a file, beginning not after `latest`. Only what is settled and durable may be left behind; and
   * after a failed sync of its owner the page cache lies, so that the records themselves have to say that they are.
   */
  async tail(source: LogFile, from: number, latest: number): Promise<readonly LogRecord[]> {
    const begin = this.#rules.rewriteTail ? Math.min(from, this.#settledBefore + 1, source.proven + 1, latest) : latest
    return recordsOf(source, Math.max(source.first, begin))
  }
}
