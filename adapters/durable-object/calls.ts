/**
 * Makes the calls to the storage of an object, and judges their ends.
 *
 * - The object writes in the turn of the call, and flushes afterwards. A call that writes resolves after `sync()`, which
 *   resolves when all that was written before it has been flushed ([storage API](https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/#sync)).
 * - What cannot be flushed resets the object before its code runs again: handles and all that they have read are gone.
 * - Reads do not wait for flushes of others: answers of the object, its requests and its writes to R2 are held back until what it
 *   has written is flushed (the output gate, same page, `allowUnconfirmed`). So nobody outside learns of what may yet be lost.
 */
import { TidemarkError, aborted, isTidemarkError, reasonOf, throwIfAborted } from '../../src/errors.js'
import type { Answer, CallOptions, Outcome } from '../../src/storage/contract.js'
import type { DurableObjectStorageLike } from './binding.js'

/** What a conditional write did. `token` is that of the object which it wrote. */
export type Written = { readonly token: string } | 'lost'

/** The calls to the storage of an object; `doing` ends the sentence "could not …". */
export interface Calls {
  /** Reads. */
  read<T>(doing: string, options: CallOptions | undefined, act: () => T | Promise<T>): Promise<T>
  /** Writes what may be written again, and resolves when it is durable. */
  repeat(doing: string, options: CallOptions | undefined, act: () => void | Promise<void>): Promise<Answer>
  /** Writes under a condition, once. `act` calls `applied` when its write may stay from now on, whatever it throws later. */
  once(
    doing: string,
    options: CallOptions | undefined,
    act: (applied: () => void) => Written | Promise<Written>,
  ): Promise<Outcome & Answer>
}

export function callsTo(storage: DurableObjectStorageLike): Calls {
  async function read<T>(doing: string, options: CallOptions | undefined, act: () => T | Promise<T>): Promise<T> {
    const signal = options?.signal
    throwIfAborted(signal)
    try {
      return await untilAborted(act(), signal)
    } catch (error) {
      throw failed(doing, error)
    }
  }

  return {
    read,
    repeat: (doing, options, act) =>
      read(doing, options, async () => {
        await act()
        await storage.sync()
        return {}
      }),
    async once(doing, options, act) {
      const signal = options?.signal
      throwIfAborted(signal)
      let isApplied = false
      const write = async (): Promise<Outcome> => {
        const written = await act(() => (isApplied = true))
        if (written === 'lost') return { outcome: 'lost' }
        isApplied = true
        await storage.sync()
        return { outcome: 'committed', token: written.token }
      }
      try {
        return await untilAborted(write(), signal)
      } catch (error) {
        const cause = failed(doing, error)
        // A write that goes on beyond the signal may be there later.
        if (isApplied || signal?.aborted) return { outcome: 'unknown', settle: true, cause }
        throw cause
      }
    },
  }
}

/** Stops waiting when the signal aborts. The storage knows no signals, so the call itself goes on. */
function untilAborted<T>(answer: T | Promise<T>, signal: AbortSignal | undefined): T | Promise<T> {
  if (signal === undefined || !(answer instanceof Promise)) return answer
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(aborted(signal))
    signal.addEventListener('abort', abort, { once: true })
    answer.finally(() => signal.removeEventListener('abort', abort)).then(resolve, reject)
  })
}

/** The error for a call. `doing` ends the sentence "could not …". */
export function failed(doing: string, cause: unknown): TidemarkError {
  if (isTidemarkError(cause)) return cause
  const said = reasonOf(cause)
  const begun = `The Durable Object could not ${doing} (${said})`
  if (said.includes('SQLITE_FULL')) {
    return new TidemarkError('QUOTA', `${begun}: it is full. Delete or collect data, and try again.`, { cause })
  }
  if (said.includes('no such table')) {
    const advice = 'its tables were deleted, by deleteAll() perhaps. Open the store again, by another durableObject().'
    return new TidemarkError('ROLLED_BACK', `${begun}: ${advice}`, { cause })
  }
  const advice = /\breset\b|no longer/.test(said)
    ? 'this instance of it has ended. Send the request again, and open the store there.'
    : 'try again.'
  return new TidemarkError('STORAGE_UNAVAILABLE', `${begun}: ${advice}`, { cause })
}
