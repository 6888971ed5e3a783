import type { Platform } from './platform.js'
import type { Turns } from './turns.js'

/**
 * The storage contract: all that an adapter implements. The core never learns which adapter it runs on.
 *
 * Rules for every method:
 * - What resolves as done is **durable** (as durable as this storage gets) and visible to every later call, from any
 *   process. A read never returns what a crash or power loss could still take back.
 * - A method that **throws** has surely changed nothing, or repeats harmlessly (`put` under its unique name, `delete`).
 *   A create or a swap that may have happened answers `unknown`; it never throws once the request has been sent.
 * - Errors are `TidemarkError`s: `QUOTA` (no space), `STORAGE_UNAVAILABLE` (anything that may pass), `ABORTED` (the
 *   signal), `INVALID_ARGUMENT` (the adapter was set up wrongly). "Absent" is an answer, never an error.
 * - Byte arrays belong to the storage once passed in and to the caller once returned; neither side changes them later.
 * - Every method may be called while others run, also on the same name.
 * - Names and paths are parts of one or more of `a-z 0-9 . _ -` joined by `/`. No part ends in a dot or is a name that
 *   Windows reserves (`con`, `nul`, `com1`, …, also with an extension). No log lies
 *   beneath another log's path; `<path>/log/` and names that end in `/anchor` are not used for blobs.
 * - `time` is the storage's own clock in milliseconds since the epoch, read while the request was served. A storage
 *   without a clock of its own (a file system, a browser) leaves it out.
 */
export interface Storage {
  readonly capabilities: Capabilities
  readonly blobs: Blobs
  /**
   * The log under `path` (`<store>/<shard>/<log id>`). Cheap, touches nothing; every call gives a handle of its own,
   * and handles share nothing but the storage, as if each were in another process.
   */
  log(path: string, options?: LogOptions): Log
  /** The small object `path` that is written by compare and swap. */
  anchor(path: string): Anchor
  /** Paths of the logs under `prefix` that hold at least one entry, or can be seen to have lost all, ascending. */
  logs(prefix: string, options?: CallOptions): Promise<Answer & { readonly paths: readonly string[] }>
  /**
   * Finds out whether the storage keeps what this adapter stands on, by writing under `path` what it removes again; throws
   * `STORAGE_UNSAFE` if not. For storages of which a few calls show it, such as a local file system. Left out: creates and
   * swaps by many writers at once show it (`probe.ts`).
   */
  probe?(path: string, options?: CallOptions): Promise<Answer>
  /** How handles in other tabs and workers are reached, where there is a way. Nothing that is right depends on it. */
  readonly peers?: Peers | undefined
}

export interface Peers {
  /** `heard` is called after another handle has called `tell` on the same path. */
  channel(path: string, heard: () => void): Channel
  /** Does it unless another handle is doing its own under the same path at this moment; then `undefined`. */
  alone<T>(path: string, act: () => Promise<T>): Promise<T | undefined>
}

export interface Channel {
  tell(): void
  close(): void
}

export interface Capabilities {
  /** For error messages and metrics: `memory`, `node-fs`, … */
  readonly name: string
  /**
   * Who makes sure that a create does not land on a trimmed number: `create` when the create itself reads the trim
   * number in its own transaction, `owner` when only the owner can write (files), `writer` when the writer has to read
   * it afterwards (object stores).
   */
  readonly trim: 'create' | 'owner' | 'writer'
  /** The largest object that `put` and `append` take, in bytes. Default: no limit of its own. */
  readonly maxObjectBytes?: number | undefined
  /**
   * What keeps the calls under way to as many as the adapter serves well, while others wait. Storages that share what is
   * scarce (the files that a process may open, the connections of a client) answer the same one. Default: no bound.
   */
  readonly turns?: (() => Turns) | undefined
  /** A faster hash and decompression than those of the web. Default: WebCrypto and `DecompressionStream`. */
  readonly platform?: Platform | undefined
}

export interface LogOptions {
  /**
   * `strict` (default): an acknowledged append survives power loss. `relaxed`: it survives the end of the process; after
   * power loss recovery still finds a prefix, and `sync` makes everything before it durable.
   */
  readonly durability?: 'strict' | 'relaxed' | undefined
}

export interface Answer {
  readonly time?: number | undefined
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

export interface AppendOptions extends CallOptions {
  /** By the entry space comes free: it may take the room that a storage keeps back for that, where it does. */
  readonly makesRoom?: boolean | undefined
}

/** Part of a blob. It is an error of the caller to ask beyond the end: the answer then is shorter. */
export interface ByteRange {
  readonly offset: number
  readonly length: number
}

export interface BlobInfo {
  readonly name: string
  readonly size: number
  /** When the blob was made, by the storage's clock. */
  readonly time?: number | undefined
}

export interface Blobs {
  /** Stores `bytes` under a name that was never used before. Resolves when durable. */
  put(name: string, bytes: Uint8Array, options?: CallOptions): Promise<Answer>
  /** The bytes, or `undefined` when there is no such blob. */
  get(
    name: string,
    options?: CallOptions & { readonly range?: ByteRange | undefined },
  ): Promise<Answer & { readonly bytes: Uint8Array | undefined }>
  /**
   * Names that begin with `prefix`, ascending by code point, only those after `after`, at most `limit` (default 1,000).
   * `more` says that others follow. A list may miss what is written while it runs, never what was there before. Only
   * blobs are listed, not log entries and anchors.
   */
  list(
    prefix: string,
    options?: CallOptions & { readonly after?: string | undefined; readonly limit?: number | undefined },
  ): Promise<Answer & { readonly items: readonly BlobInfo[]; readonly more: boolean }>
  /** Removes the blobs; one that is absent counts as removed. */
  delete(names: readonly string[], options?: CallOptions): Promise<Answer>
}

/**
 * - `committed`: durable under this number.
 * - `lost`: the number holds, or will hold for ever, something else; these bytes will never be read.
 * - `unknown`: the request was sent and its effect is not known. `settle` says whether sending the same bytes again can
 *   settle it (object stores) or only a new handle can (a file after a failed sync).
 */
export type Outcome =
  | { readonly outcome: 'committed' }
  | { readonly outcome: 'lost' }
  | { readonly outcome: 'unknown'; readonly settle: boolean; readonly cause?: unknown }

export interface Log {
  /**
   * Creates entry `n`, once. The caller has at most one append in flight per handle, and appends n+1 only after n is
   * committed. A handle on a storage with `trim: 'owner'` appends only after `claim` has committed on it. `from` is the
   * lowest number that recovery will need once `n` is committed, as in `claim`; it only ever tells what may be left behind.
   */
  append(n: number, bytes: Uint8Array, from: number, options?: AppendOptions): Promise<Outcome & Answer>
  /**
   * Appends a fence at `n` and makes this handle the owner: afterwards no append by an older handle is acknowledged.
   * `from` is the lowest number that recovery still needs; a storage of private files copies what stands from there on.
   * `lost` means that `n` is taken: read on and claim again at the next number. A storage that can see that the log ends
   * before `from`, or before n - 1, throws `CORRUPT` and writes nothing: it has lost entries that the caller knows of.
   */
  claim(n: number, bytes: Uint8Array, from: number, options?: AppendOptions): Promise<Outcome & Answer>
  /** The bytes of entry `n`, or `undefined` when there is none, or no longer. */
  read(n: number, options?: CallOptions): Promise<Answer & { readonly bytes: Uint8Array | undefined }>
  /**
   * Numbers that are present, ascending, at least `from`; for finding an entry when the anchor is gone. `inDoubt`: entries up
   * to this number stand there as well, and who takes the log over next settles whether they are part of it.
   */
  list(
    from: number,
    options?: CallOptions & { readonly limit?: number | undefined },
  ): Promise<Answer & { readonly numbers: readonly number[]; readonly inDoubt?: number | undefined }>
  /** Makes all that was acknowledged durable, in `relaxed` durability too. */
  sync(options?: CallOptions): Promise<Answer>
  /** Removes entries; one that is absent counts as removed. Only numbers that the anchor says are trimmed. */
  remove(numbers: readonly number[], options?: CallOptions): Promise<Answer>
  /** Removes every entry and all that the adapter keeps beside them; `logs` no longer lists this path. */
  destroy(options?: CallOptions): Promise<Answer>
  /** Lets go of file handles and the like. Idempotent; the log itself stays. */
  close(): Promise<void>
}

export interface Anchor {
  /** The bytes and a token that names exactly this state of the object; both `undefined` when there is none. */
  read(
    options?: CallOptions,
  ): Promise<Answer & { readonly bytes: Uint8Array | undefined; readonly token: string | undefined }>
  /**
   * Replaces the object if its token is still `token` (`undefined`: if there is none). `committed` means swapped.
   * `trim` is the trim number that `bytes` say; a storage with `trim: 'create'` refuses to create entries up to it, in
   * the log beside this anchor (`<store>/<shard>/anchor` belongs to `<store>/<shard>/<any log id>`).
   */
  swap(token: string | undefined, bytes: Uint8Array, trim: number, options?: CallOptions): Promise<Outcome & Answer>
  /** Removes the object; absent counts as removed. */
  remove(options?: CallOptions): Promise<Answer>
}
