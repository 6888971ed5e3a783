/**
 * One place through which all calls of a storage go, for decorators: each is a function around a call, not a list of
 * methods. Handles stay handles: `log` and `anchor` are wrapped per call, and nothing is shared between them.
 */
import type { CallOptions, Outcome, Storage } from './contract.js'
import type { Run } from './turns.js'

/** The part of a storage that is called. */
export type Target = 'blobs' | 'log' | 'anchor' | 'storage'

/** The method that is called. */
export type Method =
  | 'put'
  | 'get'
  | 'list'
  | 'delete'
  | 'append'
  | 'claim'
  | 'read'
  | 'readTail'
  | 'sync'
  | 'remove'
  | 'destroy'
  | 'close'
  | 'swap'
  | 'logs'
  | 'probe'

/** How many requests of each kind were sent. */
export interface Requests {
  /** Blobs put, entries appended or claimed, anchors swapped. */
  readonly put: number
  /** Reads, of what is absent too. */
  readonly get: number
  /** Lists of blobs, entries and logs. */
  readonly list: number
  /** Deletions of blobs, entries, anchors and logs. */
  readonly delete: number
}

/** One call of a storage, told to decorators. */
export interface Call {
  /** The part of the storage that is called. */
  readonly target: Target
  /** The method that is called. */
  readonly method: Method
  /** The counter of `Requests` for it; `sync`, `close` and `probe` have none. */
  readonly kind: keyof Requests | undefined
  /** The path of the log or anchor; the blob's name; the prefix of a list; the first name of a delete. */
  readonly path: string
  /** The number of the entry; the first of those removed. */
  readonly n?: number | undefined
  /** The bytes that the call would store. */
  readonly bytes?: Uint8Array | undefined
  /** The call answers an `Outcome`: it is not to be repeated and not to throw once it has been sent. */
  readonly conditional: boolean
  /** The signal of its caller. */
  readonly signal: AbortSignal | undefined
}

/** Makes the call with `run`, as often as it likes and with the signal that it likes, and answers in its place. */
export type Around = <T>(call: Call, run: Run<T>) => Promise<T>

/** Where the options stand among what each method is given, and what it counts as. */
const METHODS: { readonly [T in Target]: { readonly [M in Method]?: readonly [at: number, kind?: keyof Requests] } } = {
  blobs: { put: [2, 'put'], get: [1, 'get'], list: [1, 'list'], delete: [1, 'delete'] },
  log: {
    append: [3, 'put'],
    claim: [3, 'put'],
    read: [1, 'get'],
    readTail: [1, 'get'],
    list: [1, 'list'],
    sync: [0],
    remove: [1, 'delete'],
    destroy: [0, 'delete'],
    close: [0],
  },
  anchor: { read: [0, 'get'], swap: [3, 'put'], remove: [0, 'delete'] },
  storage: { logs: [1, 'list'], probe: [1] },
}

/** The same storage, with `around` around every call. */
export function intercept(storage: Storage, around: Around): Storage {
  /** `inner` with all of its methods replaced; what has no `path` of its own is told it with each call. */
  function wrap<T extends object>(target: Target, inner: T, path?: string): T {
    const known = Object.entries(METHODS[target]).filter(([name]) => (inner as Record<string, unknown>)[name])
    const methods = known.map(([name, [at, kind]]) => {
      const method = name as Method
      const send = (...given: unknown[]): Promise<unknown> => {
        const options = given[at] as CallOptions | undefined
        const first = Array.isArray(given[0]) ? (given[0][0] as unknown) : given[0]
        const call: Call = {
          target,
          method,
          kind,
          path: path ?? ((first ?? '') as string),
          n: typeof first === 'number' ? first : undefined,
          bytes: given[1] instanceof Uint8Array ? given[1] : undefined,
          // Blobs alone are put whatever is there.
          conditional: kind === 'put' && target !== 'blobs',
          signal: options?.signal,
        }
        const act = (inner as Record<string, (...given: unknown[]) => Promise<unknown>>)[method]!
        // Async, so that an adapter that throws instead of rejecting is no special case for anybody.
        return around(call, async (signal) =>
          act.apply(inner, Object.assign([...given], { [at]: { ...options, signal } })),
        )
      }
      return [method, send]
    })
    return Object.fromEntries(methods) as T
  }

  return {
    ...wrap('storage', storage),
    capabilities: storage.capabilities,
    ...(storage.peers && { peers: storage.peers }),
    blobs: wrap('blobs', storage.blobs),
    log: (path, options) => wrap('log', storage.log(path, options), path),
    anchor: (path) => wrap('anchor', storage.anchor(path), path),
  }
}

/** The answer of a conditional call of which nothing is known; `around` is generic, so the type has to be bent once. */
export function unknownOutcome<T>(settle: boolean, cause: unknown): T {
  return { outcome: 'unknown', settle, cause } satisfies Outcome as T
}
