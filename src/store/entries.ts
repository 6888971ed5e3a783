/** Reads of a range that gather what an iteration gives. */
export abstract class Entries<Options extends { readonly reverse?: boolean | undefined }, Entry> {
  abstract entries(options?: Options): AsyncIterableIterator<Entry>

  /**
   * The entries of a range, all at once.
   * @throws as `entries`: `INVALID_ARGUMENT`, `ABORTED`, `CORRUPT`, `STORAGE_UNAVAILABLE`, `VERSION_EXPIRED`
   * @example
   *     const newest = await store.toArray({ prefix: 'o-', reverse: true, limit: 10 })
   */
  async toArray(options?: Options): Promise<Entry[]> {
    const all: Entry[] = []
    for await (const entry of this.entries(options)) all.push(entry)
    return all
  }

  /**
   * The first entry of a range; `undefined` when there is none.
   * @throws as `entries`: `INVALID_ARGUMENT`, `ABORTED`, `CORRUPT`, `STORAGE_UNAVAILABLE`, `VERSION_EXPIRED`
   */
  async first(options?: Options): Promise<Entry | undefined> {
    return (await this.toArray({ ...options, limit: 1 } as unknown as Options))[0]
  }

  /**
   * The last entry of a range; `undefined` when there is none.
   * @throws as `entries`: `INVALID_ARGUMENT`, `ABORTED`, `CORRUPT`, `STORAGE_UNAVAILABLE`, `VERSION_EXPIRED`
   */
  last(options?: Options): Promise<Entry | undefined> {
    return this.first({ ...options, reverse: !options?.reverse } as Options)
  }
}
