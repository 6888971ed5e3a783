/// <reference lib="dom" />
/** Requests and transactions of IndexedDB as promises. Their failures count as heard: who waits for one hears of it all the same. */

/**
 * The answer to a request. Whoever waits for it can go on in its transaction: the browser keeps that open until the promise has
 * been followed.
 */
export function answer<T>(request: IDBRequest<T>): Promise<T> {
  const answered = new Promise<T>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
  answered.catch(() => {})
  return answered
}

/** Resolves when a transaction is complete, in strict durability: durable. */
export function completion(tx: IDBTransaction): Promise<void> {
  const completed = new Promise<void>((resolve, reject) => {
    tx.oncomplete = () => resolve()
    tx.onabort = () => reject(tx.error ?? new DOMException('The transaction was aborted.', 'AbortError'))
  })
  completed.catch(() => {})
  return completed
}
