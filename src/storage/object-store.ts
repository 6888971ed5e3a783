/** Objects that lie beneath a log, an anchor and blobs. */
import type { Answer, BlobInfo, ByteRange, CallOptions, Outcome } from './contract.js'

/** Objects with conditional writes, of which `overObjects` makes a `Storage`. The rules of the contract hold for each method. */
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
  /**
   * Reads the objects whose keys begin with `prefix` and come after `after`, ascending: as many as `TAIL_BYTES` hold, and one at
   * least. It is for stores where that costs hardly more than reading one.
   * @default the entries of a log are listed and read one by one
   */
  getAll?(
    prefix: string,
    options: CallOptions & { readonly after: string },
  ): Promise<
    Answer & {
      readonly items: readonly { readonly name: string; readonly bytes: Uint8Array }[]
      readonly more: boolean
    }
  >
  /** Removes at most `PAGE` objects; one that is absent counts as removed. */
  delete(keys: readonly string[], options?: CallOptions): Promise<Answer>
}

/** The condition of a create: entry `n` is not trimmed yet. */
export interface TrimGuard {
  /** The key of the anchor beside the log. */
  readonly anchor: string
  /** The number of the entry. */
  readonly n: number
}

/** Entry `n` of the log under `path`: the order of names is the order of numbers. */
export function entryKey(path: string, n: number): string {
  return `${path}/log/${String(n).padStart(16, '0')}`
}
