/**
 * One place through which all calls of a storage go, for decorators: each is a function around a call, not a list of
 * methods. Handles stay handles: `log` and `anchor` are wrapped per call, and nothing is shared between them.
 */
import type { Anchor, CallOptions, Log, Outcome, Storage } from './contract.js'

export type Target = 'blobs' | 'log' | 'anchor' | 'storage'

export type Method =
  | 'put'
  | 'get'
  | 'list'
  | 'delete'
  | 'append'
  | 'claim'
  | 'read'
  | 'sync'
  | 'remove'
  | 'destroy'
  | 'close'
  | 'swap'
  | 'logs'

/** One call of a storage, told to decorators. */
export interface Call {
  readonly target: Target
  readonly method: Method
  /** Of the log or anchor; the blob's name; the prefix of a list; the first name of a delete. */
  readonly path: string
  /** The number of the entry; the first of those removed. */
  readonly n?: number | undefined
  /** What the call would store. */
  readonly bytes?: Uint8Array | undefined
  /** The call answers an `Outcome`: it is not to be repeated and not to throw once it has been sent. */
  readonly conditional: boolean
  readonly signal: AbortSignal | undefined
}

/** Makes the call with `run`, as often as it likes and with the signal that it likes, and answers in its place. */
export type Around = <T>(call: Call, run: Run<T>) => Promise<T>

export type Run<T> = (signal: AbortSignal | undefined) => Promise<T>

/** The same storage, with `around` around every call. */
export function intercept(storage: Storage, around: Around): Storage {
  const { blobs } = storage

  function send<T>(
    target: Target,
    method: Method,
    details: { path: string; n?: number | undefined; bytes?: Uint8Array },
    options: CallOptions | undefined,
    run: (options: CallOptions) => Promise<T>,
  ): Promise<T> {
    const conditional = method === 'append' || method === 'claim' || method === 'swap'
    const call: Call = { target, method, ...details, conditional, signal: options?.signal }
    // Async, so that an adapter that throws instead of rejecting is no special case for anybody.
    return around(call, async (signal) => run({ signal }))
  }

  function log(path: string, inner: Log): Log {
    return {
      append: (n, bytes, from, options) =>
        send('log', 'append', { path, n, bytes }, options, (o) => inner.append(n, bytes, from, { ...options, ...o })),
      claim: (n, bytes, from, options) =>
        send('log', 'claim', { path, n, bytes }, options, (o) => inner.claim(n, bytes, from, { ...options, ...o })),
      read: (n, options) => send('log', 'read', { path, n }, options, (o) => inner.read(n, o)),
      list: (from, options) =>
        send('log', 'list', { path, n: from }, options, (o) => inner.list(from, { ...options, ...o })),
      sync: (options) => send('log', 'sync', { path }, options, (o) => inner.sync(o)),
      remove: (numbers, options) =>
        send('log', 'remove', { path, n: numbers[0] }, options, (o) => inner.remove(numbers, o)),
      destroy: (options) => send('log', 'destroy', { path }, options, (o) => inner.destroy(o)),
      close: () => send('log', 'close', { path }, undefined, () => inner.close()),
    }
  }

  function anchor(path: string, inner: Anchor): Anchor {
    return {
      read: (options) => send('anchor', 'read', { path }, options, (o) => inner.read(o)),
      swap: (token, bytes, trim, options) =>
        send('anchor', 'swap', { path, bytes }, options, (o) => inner.swap(token, bytes, trim, o)),
      remove: (options) => send('anchor', 'remove', { path }, options, (o) => inner.remove(o)),
    }
  }

  return {
    capabilities: storage.capabilities,
    ...(storage.neighbours && { neighbours: storage.neighbours }),
    blobs: {
      put: (name, bytes, options) =>
        send('blobs', 'put', { path: name, bytes }, options, (o) => blobs.put(name, bytes, o)),
      get: (name, options) =>
        send('blobs', 'get', { path: name }, options, (o) => blobs.get(name, { ...options, ...o })),
      list: (prefix, options) =>
        send('blobs', 'list', { path: prefix }, options, (o) => blobs.list(prefix, { ...options, ...o })),
      delete: (names, options) =>
        send('blobs', 'delete', { path: names[0] ?? '' }, options, (o) => blobs.delete(names, o)),
    },
    log: (path, options) => log(path, storage.log(path, options)),
    anchor: (path) => anchor(path, storage.anchor(path)),
    logs: (prefix, options) => send('storage', 'logs', { path: prefix }, options, (o) => storage.logs(prefix, o)),
  }
}

/** The answer of a conditional call of which nothing is known; `around` is generic, so the type has to be bent once. */
export function unknownOutcome<T>(settle: boolean, cause: unknown): T {
  return { outcome: 'unknown', settle, cause } satisfies Outcome as T
}
