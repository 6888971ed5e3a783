/**
 * A storage that fails as told: a decorator that asks `decide` before every call.
 *
 * - A call that never answers holds nothing up. Its promise is left behind, and the answer from beneath is dropped.
 * - `decide` is asked once for each call, in the order of the calls, before anything is sent.
 */
import { TidemarkError } from '../errors.js'
import type { Storage, TailRead } from '../storage/contract.js'
import { intercept, unknownOutcome, type Call, type Method, type Target } from '../storage/intercept.js'
import type { Run } from '../storage/turns.js'

/** How a call fails. */
export type Fault =
  /** Not applied, never answered: the process or the line died before it was sent. */
  | 'never-sent'
  /** Applied, never answered: the process or the line died after it was sent. */
  | 'reply-lost'
  /** Not applied; throws `STORAGE_UNAVAILABLE`. */
  | 'error-before'
  /** Applied; creates and swaps answer `unknown`, other calls throw `STORAGE_UNAVAILABLE`. */
  | 'error-after'
  /** Not applied, and answered as `error-after` is. */
  | 'unknown-before'
  /** Not applied; throws `QUOTA`. */
  | 'quota'
  /** Applied; a read returns the bytes that this function makes of a copy of the true ones: of the first entry, where it reads several. */
  | { readonly corrupt: (bytes: Uint8Array) => Uint8Array }

/** A call as `decide` sees it. */
export interface Point {
  /** The number of the call, from 0 on. */
  readonly index: number
  /** The part of the storage that is called. */
  readonly target: Target
  /** The method that is called. */
  readonly method: Method
  /** The path of the log or anchor; the blob's name; the prefix of a list; the first name of a delete. */
  readonly path: string
  /** The number of the entry, of calls that have one. */
  readonly n?: number | undefined
}

/** Decides how a call fails; `undefined` lets it pass. */
export type Decide = (point: Point) => Fault | undefined

/** A storage that fails as told. */
export interface Faulty extends Storage {
  /** Resolves when no call is under way in the storage beneath, whether its caller is answered or not. */
  idle(): Promise<void>
}

/**
 * Decorates `storage` so that its calls fail as `decide` says.
 *
 * @throws `STORAGE_UNAVAILABLE` or `QUOTA` by calls, as told; errors of `decide` come through
 * @example
 *     const broken = faulty(memory(), ({ method }) => (method === 'append' ? 'reply-lost' : undefined))
 */
export function faulty(storage: Storage, decide: Decide): Faulty {
  const { name, trim } = storage.capabilities
  const running = new Set<Promise<unknown>>()
  let calls = 0

  function apply<T>(call: Call, run: Run<T>): Promise<T> {
    const applied = run(call.signal)
    const ended = (): void => void running.delete(applied)
    running.add(applied)
    applied.then(ended, ended)
    return applied
  }

  function unavailable(call: Call): TidemarkError {
    return new TidemarkError('STORAGE_UNAVAILABLE', `${name} failed at ${call.method} of ${call.path}, as told.`)
  }

  /** Ends a call so that its caller cannot know whether it was applied. */
  function doubtful<T>(call: Call): T {
    if (!call.conditional) throw unavailable(call)
    return unknownOutcome<T>(trim !== 'owner', unavailable(call))
  }

  async function around<T>(call: Call, run: Run<T>): Promise<T> {
    const { target, method, path, n } = call
    const fault = decide({ index: calls++, target, method, path, n })
    switch (fault) {
      case undefined:
        return apply(call, run)
      case 'never-sent':
        return never()
      case 'reply-lost':
        await Promise.allSettled([apply(call, run)])
        return never()
      case 'error-before':
        throw unavailable(call)
      case 'error-after':
        await apply(call, run)
        return doubtful(call)
      case 'unknown-before':
        return doubtful(call)
      case 'quota':
        throw new TidemarkError('QUOTA', `${name} has no space for ${method} of ${path}, as told.`)
      default: {
        const answer = await apply(call, run)
        const { bytes, entries: [first, ...rest] = [] } = answer as { bytes?: Uint8Array } & Partial<TailRead>
        if (first) return { ...answer, entries: [{ ...first, bytes: fault.corrupt(first.bytes.slice()) }, ...rest] }
        return bytes === undefined ? answer : { ...answer, bytes: fault.corrupt(bytes.slice()) }
      }
    }
  }

  return {
    ...intercept(storage, around),
    async idle() {
      while (running.size > 0) await Promise.allSettled(running)
    },
  }
}

/**
 * For `corrupt`: turns one bit, number `at` from the start, modulo the length.
 *
 * @example
 *     faulty(storage, ({ method }) => (method === 'read' ? { corrupt: flipBit(100) } : undefined))
 */
export function flipBit(at: number): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => {
    if (bytes.length > 0) bytes[(at >>> 3) % bytes.length]! ^= 1 << (at & 7)
    return bytes
  }
}

/**
 * For `corrupt`: cuts off the last `count` bytes.
 *
 * @example
 *     faulty(storage, ({ method }) => (method === 'get' ? { corrupt: cutOff(1) } : undefined))
 */
export function cutOff(count: number): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => bytes.slice(0, Math.max(0, bytes.length - count))
}

function never<T>(): Promise<T> {
  return new Promise<T>(() => {})
}
