import type { Platform } from './platform.js'
import type { Turns } from './turns.js'

/**
 * The storage contract: everything that an adapter implements. The core never learns which adapter it runs on.
 *
 * Rules for every method:
 * - A write that has resolved is **durable** (as durable as this storage gets) and visible to every later call, from any
 *   process. A read never returns bytes that a crash or power loss could still take back.
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
  /** The facts about it that the core uses. */
  readonly capabilities: Capabilities
  /** The objects that are written once, such as segments. */
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
   * Finds out whether the storage keeps the promises on which this adapter stands, by objects under `path` that it removes
   * again. Throws `STORAGE_UNSAFE` if not. It is for storages where a few calls show that, such as a local file system.
   * @default creates and swaps by many writers at once show it (`probe.ts`)
   */
  probe?(path: string, options?: CallOptions): Promise<Answer>
  /**
   * Reaches handles in other tabs and workers, where there is a way. No promise depends on it.
   * @default none
   */
  readonly peers?: Peers | undefined
}

/** Other handles of the same origin. */
export interface Peers {
  /** Opens a channel: `heard` is called after another handle has called `tell` on the same path. */
  channel(path: string, heard: () => void): Channel
  /** Runs `act`, unless another handle runs its own under the same path at this moment; then `undefined`. */
  alone<T>(path: string, act: () => Promise<T>): Promise<T | undefined>
}

/** A channel to other handles. */
export interface Channel {
  /** Calls `heard` of the other handles on the same path. */
  tell(): void
  /** Ends the channel: nothing is told or heard any more. */
  close(): void
}

/** The facts about a storage that the core uses. */
export interface Capabilities {
  /** The name for error messages and metrics: `memory`, `node-fs`, … */
  readonly name: string
  /**
   * Who makes sure that a create does not land on a trimmed number: `create` when the create itself reads the trim
   * number in its own transaction, `owner` when only the owner can write (files), `writer` when the writer has to read
   * it afterwards (object stores).
   */
  readonly trim: 'create' | 'owner' | 'writer'
  /**
   * The largest object that `put` and `append` take, in bytes.
   * @default no limit
   */
  readonly maxObjectBytes?: number | undefined
  /**
   * Limits the calls under way to as many as the adapter serves well, while others wait. Storages that share something
   * scarce (the files that a process may open, the connections of a client) answer the same one.
   * @default no limit
   */
  readonly turns?: (() => Turns) | undefined
  /**
   * The length of a tail that an opener reads as quickly as a short one. After as many entries, or as many bytes, the tail is
   * folded. A commit of more than `large` bytes goes into segments at once; left out, that is `bytes`.
   * @default { entries: 48, bytes: 6 << 20 }, as where each entry is a request of its own
   */
  readonly tail?: { readonly entries: number; readonly bytes: number; readonly large?: number } | undefined
  /**
   * How large a block may be, in bytes before compression, so that it is read as quickly as a smaller one.
   * @default 16 << 10
   */
  readonly blockBytes?: number | undefined
  /**
   * Whether what is written goes over a network, where it takes longer to send bytes than to compress them. The changes in
   * entries are compressed then.
   * @default false
   */
  readonly isRemote?: boolean | undefined
  /**
   * How stores are opened that are not told: `shared` where several writers are the rule, as the tabs of a browser are.
   * @default 'exclusive'
   */
  readonly mode?: 'exclusive' | 'shared' | undefined
  /**
   * A faster hash and decompression than those of the web.
   * @default WebCrypto and `DecompressionStream`
   */
  readonly platform?: Partial<Platform> | undefined
}

/** Options of `Storage.log`. */
export interface LogOptions {
  /**
   * `strict`: an acknowledged append survives power loss. `relaxed`: it survives the end of the process; after power loss
   * recovery still finds a prefix, and `sync` makes everything before it durable.
   * @default 'strict'
   */
  readonly durability?: 'strict' | 'relaxed' | undefined
}

/** The answer of every call. */
export interface Answer {
  /** The storage's time when it served the request, in milliseconds since 1970. */
  readonly time?: number | undefined
}

/** Options of every call. */
export interface CallOptions {
  /**
   * Ends the call with `ABORTED` when it aborts; a create or swap that was sent ends as `unknown`.
   * @default none
   */
  readonly signal?: AbortSignal | undefined
}

/** Options of an append. */
export interface AppendOptions extends CallOptions {
  /**
   * Whether space comes free by the entry. It may then take the room that some storages keep back for such entries.
   * @default false
   */
  readonly makesRoom?: boolean | undefined
}

/** A part of a blob, in bytes. Beyond the end of the blob the answer is shorter. */
export interface ByteRange {
  /** The place of its first byte, from 0 on. */
  readonly offset: number
  /** How many bytes it has. */
  readonly length: number
}

/** A blob in a list. */
export interface BlobInfo {
  /** Its name, as it was put. */
  readonly name: string
  /** Its length in bytes. */
  readonly size: number
  /** When the blob was made, by the storage's clock. */
  readonly time?: number | undefined
}

/** Blobs: objects that are written once. */
export interface Blobs {
  /** Stores `bytes` under a name that was never used before. Resolves when durable. */
  put(name: string, bytes: Uint8Array, options?: CallOptions): Promise<Answer>
  /** Reads a blob, or a range of it; `undefined` when there is none. */
  get(
    name: string,
    options?: CallOptions & { readonly range?: ByteRange | undefined },
  ): Promise<Answer & { readonly bytes: Uint8Array | undefined }>
  /**
   * Reads a range of a blob in this very turn, all of it. Where that cannot be done, whatever the reason, it returns `undefined`
   * or throws, and `get` is called. It is for storages where a small read takes less time than to wait for it, such as a local
   * file system.
   * @default every read is waited for
   */
  getNow?(name: string, range: ByteRange): Uint8Array | undefined
  /**
   * Lists names that begin with `prefix` and come after `after`, ascending by code point, at most `limit` (1,000 by default).
   * `more` says that others follow. A list may miss blobs that are written while it runs, but none that was there before. Log
   * entries and anchors are not listed.
   */
  list(
    prefix: string,
    options?: CallOptions & { readonly after?: string | undefined; readonly limit?: number | undefined },
  ): Promise<Answer & { readonly items: readonly BlobInfo[]; readonly more: boolean }>
  /** Removes the blobs; one that is absent counts as removed. */
  delete(names: readonly string[], options?: CallOptions): Promise<Answer>
}

/**
 * The outcome of a create or swap.
 *
 * - `committed`: durable under this number.
 * - `lost`: something else has the number, for ever; these bytes will never be read.
 * - `unknown`: the request was sent, and its effect is not known. `settle` says whether sending the same bytes again can
 *   settle it (object stores), or only a new handle can (a file after a failed sync).
 */
export type Outcome =
  | {
      readonly outcome: 'committed'
      /**
       * Of a swap: the token of what is there now, where the storage tells it at once.
       * @default it has to be read
       */
      readonly token?: string | undefined
    }
  | { readonly outcome: 'lost' }
  | {
      readonly outcome: 'unknown'
      /** Whether sending the same bytes again can settle it. */
      readonly settle: boolean
      /** The error that left it unknown. */
      readonly cause?: unknown
    }

/** Entries of a log that were read together. */
export interface TailRead {
  /** Their numbers and bytes, ascending. */
  readonly entries: readonly { readonly n: number; readonly bytes: Uint8Array }[]
  /** Whether others may follow. */
  readonly more: boolean
}

/** A handle on a log: numbered entries, each created once. The first one has any number from 1 on. */
export interface Log {
  /**
   * Creates entry `n`, once. The caller has at most one append in flight per handle, and appends n+1 only after n is
   * committed. A handle on a storage with `trim: 'owner'` appends only after `claim` has committed on it. `from` is the
   * lowest number that recovery will need once `n` is committed, as in `claim`: entries below it may be left behind.
   */
  append(n: number, bytes: Uint8Array, from: number, options?: AppendOptions): Promise<Outcome & Answer>
  /**
   * Appends a fence at `n` and makes this handle the owner: afterwards no append by an older handle is acknowledged.
   * `from` is the lowest number that recovery still needs; a storage of private files copies the entries from there on.
   * `lost` means that `n` is taken: read on and claim again at the next number. A storage that can see that the log ends
   * before `from`, or before n - 1, throws `CORRUPT` and writes nothing: it has lost entries that the caller knows of.
   *
   * A log may begin with any number. Where `from` is `n` nothing before `n` is needed: a log that has no entry, and never had
   * one, then begins with `n`. All who begin a log begin it with the same number.
   */
  claim(n: number, bytes: Uint8Array, from: number, options?: AppendOptions): Promise<Outcome & Answer>
  /** Reads entry `n`; `undefined` when there is none, or no longer. */
  read(n: number, options?: CallOptions): Promise<Answer & { readonly bytes: Uint8Array | undefined }>
  /**
   * Reads the entries that are there from `from` on, ascending: as many as `TAIL_BYTES` hold, and one at least. A number that
   * is left out is a hole. Unless others follow (`more`), nothing was there after the last of them, or at all.
   * @default entries are listed and read one by one, as where each of them is a request
   */
  readTail?(from: number, options?: CallOptions): Promise<Answer & TailRead>
  /**
   * Lists the numbers that are present, ascending, from `from` on, to find entries when the anchor is gone. Entries up to
   * `inDoubt` are there as well, and whoever takes the log over next settles whether they are part of it.
   */
  list(
    from: number,
    options?: CallOptions & { readonly limit?: number | undefined },
  ): Promise<Answer & { readonly numbers: readonly number[]; readonly inDoubt?: number | undefined }>
  /** Makes all acknowledged entries durable, in `relaxed` durability, too. */
  sync(options?: CallOptions): Promise<Answer>
  /** Removes entries that the anchor says are trimmed. One that is absent counts as removed. */
  remove(numbers: readonly number[], options?: CallOptions): Promise<Answer>
  /** Removes every entry, and all that the adapter keeps beside them. `logs` no longer lists this path. */
  destroy(options?: CallOptions): Promise<Answer>
  /** Closes file handles and the like. It may be called again. The log itself stays. */
  close(): Promise<void>
}

/** The small object of a store, written by compare and swap. */
export interface Anchor {
  /** The bytes, and a token that names exactly this state of the object; both `undefined` when there is none. */
  read(
    options?: CallOptions,
  ): Promise<Answer & { readonly bytes: Uint8Array | undefined; readonly token: string | undefined }>
  /**
   * Replaces the object if its token is still `token` (`undefined`: if there is none). `committed` means swapped.
   * `trim` is the trim number that `bytes` say; a storage with `trim: 'create'` refuses to create entries up to it, in
   * the log beside this anchor (`<store>/<shard>/anchor` belongs to `<store>/<shard>/<any log id>`).
   */
  swap(token: string | undefined, bytes: Uint8Array, trim: number, options?: CallOptions): Promise<Outcome & Answer>
  /** Removes the object. An absent one counts as removed. */
  remove(options?: CallOptions): Promise<Answer>
}
