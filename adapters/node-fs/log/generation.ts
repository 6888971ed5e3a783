/** Our generation among the owners of a log: the marker that begins it, and the entries that it takes over. */
import type { Listing, LogDirectory } from './directory.js'
import type { LogFile, LogRecord } from './file.js'
import type { LogView } from './view.js'

export class Generation {
  readonly #directory: LogDirectory
  readonly #view: LogView
  /** The number of the generation; 0 before the first claim. */
  #g = 0
  /** The last entry that was settled before the generation began. */
  #settledBefore = 0
  /** The generation of our marker while it has no file; else 0. */
  #marker = 0

  constructor(directory: LogDirectory, view: LogView) {
    this.#directory = directory
    this.#view = view
  }

  get g(): number {
    return this.#g
  }

  /** Begins generation g, and then lists the log; `undefined` when somebody else was first. */
  async make(g: number): Promise<Listing | undefined> {
    const { settled, proven } = this.#view
    if (!(await this.#directory.mark(g, { settled, proven }))) return undefined
    this.#marker = g
    const listing = await this.#directory.list()
    // This number may lie below the newest, and be free only because the marker was deleted as an old one.
    if (listing.newest !== g) return undefined
    this.#g = g
    this.#settledBefore = settled
    return listing
  }

  /** Takes note that a file of the generation has its name, or may have it. The marker stays then. */
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
   * The records to take over from a file, beginning at `latest` or before. Only settled and durable records may be left behind.
   * The records themselves have to say that they are durable, because the page cache lies after a failed sync of their owner.
   */
  async tail(source: LogFile, from: number, latest: number): Promise<readonly LogRecord[]> {
    const begin = Math.min(from, this.#settledBefore + 1, source.proven + 1, latest)
    return source.readFrom(Math.max(source.first, begin))
  }
}
