/** Requests and transactions of IndexedDB as promises. Their failures count as heard: who waits for one hears of it all the same. */
import { wrap } from 'idb'

/**
 * The answer to a request. Whoever waits for it can go on in its transaction: the browser keeps that open until the promise has
 * been followed.
 */
export function answer<T>(request: IDBRequest<T>): Promise<T> {
  return heard(wrap(request))
}

/** Resolves when a transaction is complete, in strict durability: durable. */
export function completion(tx: IDBTransaction): Promise<void> {
  return heard(wrap(tx).done)
}

function heard<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}
