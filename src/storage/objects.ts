/**
 * Log and anchor built on any store of objects that has conditional writes: S3, R2, IndexedDB, memory.
 *
 * - Entry n of the log `path` is the object `<path>/log/<n as 16 decimal digits>`, so that the order of names is the
 *   order of numbers. Anchors and blobs are objects under their own names.
 * - Numbers come from create-once alone: there is no owner here, a claim is an append. The fence takes the number that
 *   the former owner would append next, and that is all it takes.
 * - Nothing is kept in memory: two handles on one path, in one process or in two, are the same thing.
 * - A listing of blobs shows neither entries nor anchors, whatever its prefix, and reads no page of entries to skip them.
 */
import type {
  Anchor,
  Answer,
  BlobInfo,
  Blobs,
  ByteRange,
  CallOptions,
  Capabilities,
  Log,
  Outcome,
  Storage,
} from './contract.js'

/** What an adapter implements to become a `Storage`. The rules of the contract hold for each method. */
export interface ObjectStore {
  /**
   * Creates the object unless there is one: `lost` then. A store with `trim: 'create'` also answers `lost` when the
   * `trim` of the object `guard.anchor`, read in the same transaction, is `guard.n` or more; others ignore `guard`.
   */
  create(key: string, bytes: Uint8Array, guard: TrimGuard, options?: CallOptions): Promise<Outcome & Answer>
  /**
   * Replaces the object if its token is `token` (`undefined`: if there is none). A store with `trim: 'create'` keeps
   * `trim` beside the bytes, for `create`; others ignore it.
   */
  swap(
    key: string,
    token: string | undefined,
    bytes: Uint8Array,
    trim: number,
    options?: CallOptions,
  ): Promise<Outcome & Answer>
  /** Writes the object without a condition. */
  put(key: string, bytes: Uint8Array, options?: CallOptions): Promise<Answer>
  /** The object and its token, both `undefined` when there is none. */
  get(
    key: string,
    options?: CallOptions & { readonly range?: ByteRange | undefined },
  ): Promise<Answer & { readonly bytes: Uint8Array | undefined; readonly token: string | undefined }>
  /** Keys that begin with `prefix` and come after `after`, ascending, at most `limit`; `more` says that others follow. */
  list(
    prefix: string,
    options: CallOptions & { readonly after: string | undefined; readonly limit: number },
  ): Promise<Answer & { readonly items: readonly BlobInfo[]; readonly more: boolean }>
  /** Removes at most `PAGE` objects; one that is absent counts as removed. */
  delete(keys: readonly string[], options?: CallOptions): Promise<Answer>
}

export interface TrimGuard {
  readonly anchor: string
  readonly n: number
}

/** The most keys that one list answers and one delete takes; what S3, R2 and the contract's default have in common. */
const PAGE = 1000

const ENTRY = /^(.+)\/log\/(\d{16})$/
const ANCHOR = /\/anchor$/

/** A storage on `objects`; the adapter says what else it can do by spreading the result and replacing a part. */
export function overObjects(
  objects: ObjectStore,
  capabilities: Capabilities & { readonly trim: 'create' | 'writer' },
): Storage {
  return {
    capabilities,
    blobs: blobs(objects),
    log: (path) => log(objects, path),
    anchor: (path) => anchor(objects, path),
    logs: (prefix, options) => logs(objects, prefix, options),
  }
}

function blobs(objects: ObjectStore): Blobs {
  return {
    put: (name, bytes, options) => objects.put(name, bytes, options),
    get: (name, options) => objects.get(name, options),
    async list(prefix, { after, limit = PAGE, signal } = {}) {
      const items: BlobInfo[] = []
      // One less than a page takes, so that the one too many which sets `more` needs no request of its own.
      const most = Math.min(limit, PAGE - 1)
      for (let from = after; ;) {
        const page = await objects.list(prefix, { after: from, limit: most - items.length + 1, signal })
        let skipped: string | undefined
        for (const item of page.items) {
          const path = ENTRY.exec(item.name)?.[1]
          // The colon is the character after the digits: a listing after it begins behind the last entry.
          if (path !== undefined) skipped = `${path}/log/:`
          else if (!ANCHOR.test(item.name)) items.push(item)
        }
        const { time, more } = page
        if (items.length > most) return { time, items: items.slice(0, most), more: true }
        if (!more) return { time, items, more: false }
        from = later(page.items.at(-1)?.name, skipped)
      }
    },
    delete: (names, options) => removeAll(objects, names, options),
  }
}

function log(objects: ObjectStore, path: string): Log {
  const guard = { anchor: `${path.slice(0, path.lastIndexOf('/'))}/anchor` }
  const key = (n: number): string => `${path}/log/${String(n).padStart(16, '0')}`
  const append = (n: number, bytes: Uint8Array, options?: CallOptions): Promise<Outcome & Answer> =>
    objects.create(key(n), bytes, { ...guard, n }, options)

  async function list(
    from: number,
    { limit = Infinity, signal }: CallOptions & { limit?: number } = {},
  ): Promise<Answer & { numbers: number[] }> {
    const numbers: number[] = []
    for (let after = key(Math.max(from, 1) - 1); ;) {
      const page = await objects.list(`${path}/log/`, { after, limit: Math.min(limit - numbers.length, PAGE), signal })
      for (const { name } of page.items) numbers.push(Number(name.slice(-16)))
      if (!page.more || numbers.length >= limit) return { time: page.time, numbers }
      after = page.items.at(-1)?.name ?? after
    }
  }

  return {
    append: (n, bytes, _from, options) => append(n, bytes, options),
    claim: (n, bytes, _from, options) => append(n, bytes, options),
    read: (n, options) => objects.get(key(n), options),
    list,
    // A create is durable when it is answered.
    sync: () => Promise.resolve({}),
    remove: (numbers, options) => removeAll(objects, numbers.map(key), options),
    async destroy(options) {
      const { numbers, time } = await list(1, options)
      return numbers.length === 0 ? { time } : removeAll(objects, numbers.map(key), options)
    },
    close: () => Promise.resolve(),
  }
}

function anchor(objects: ObjectStore, path: string): Anchor {
  return {
    read: (options) => objects.get(path, options),
    swap: (token, bytes, trim, options) => objects.swap(path, token, bytes, trim, options),
    remove: (options) => objects.delete([path], options),
  }
}

async function logs(
  objects: ObjectStore,
  prefix: string,
  { signal }: CallOptions = {},
): Promise<Answer & { paths: string[] }> {
  const paths: string[] = []
  for (let after: string | undefined; ;) {
    const page = await objects.list(prefix, { after, limit: PAGE, signal })
    for (const { name } of page.items) {
      const path = ENTRY.exec(name)?.[1]
      if (path !== undefined && path !== paths.at(-1) && path.startsWith(prefix)) paths.push(path)
    }
    // The order of keys is not that of paths: `a-b/log/…` comes before `a/log/…`.
    if (!page.more) return { time: page.time, paths: paths.sort() }
    const last = page.items.at(-1)?.name
    // When the page ended under the log found last, the rest of it is skipped: no log lies beneath another, and `0` is
    // the character after `/`. Otherwise logs may follow at once.
    const found = paths.at(-1)
    after = last?.startsWith(`${found}/`) ? `${found}0` : last
  }
}

/** The later of two places in a listing. */
function later(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return a > b ? a : b
}

async function removeAll(objects: ObjectStore, keys: readonly string[], options?: CallOptions): Promise<Answer> {
  let answer: Answer = {}
  for (let i = 0; i < keys.length; i += PAGE) answer = await objects.delete(keys.slice(i, i + PAGE), options)
  return answer
}
