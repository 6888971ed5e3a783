/** Faults that browsers do not show on demand. Each is undone by `vi.restoreAllMocks()`. */
import { expect, test, vi } from 'vitest'
import { cdp, server } from 'vitest/browser'

export const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

export const text = (string: string): Uint8Array => new TextEncoder().encode(string)

export const isChromium = server.browser === 'chromium'

/** A test that needs Chromium. Elsewhere it is skipped, and its meta says why; the runner lists it (.ci/test.mjs). */
export function inChromium(why: string, name: string, run: () => Promise<void>): void {
  if (isChromium) test(name, run)
  else test(name, { meta: { onlyInChromium: why } }, ({ skip }) => skip())
}

/** A method as it is before it is replaced. */
export function methodOf<T extends object, K extends keyof T>(prototype: T, name: K): T[K] {
  return prototype[name]
}

/** Asks Chromium itself, in its DevTools protocol. */
export function send(method: string, params: object): Promise<unknown> {
  return (cdp() as unknown as { send(method: string, params: object): Promise<unknown> }).send(method, params)
}

/** Counts from now on how often a database is opened, apart from the helper that makes Chromium begin a new journal. */
export function countOpenings(): { readonly count: number } {
  const open = vi.spyOn(IDBFactory.prototype, 'open')
  return {
    get count() {
      return open.mock.calls.filter(([name]) => !name.endsWith(' (journal)')).length
    },
  }
}

/** Makes the next `times` transactions fail to begin, as on a connection that the browser has lost. */
export function refuseTransactions(times: number, name = 'InvalidStateError'): { readonly calls: number } {
  const seen = { calls: 0 }
  const transaction = methodOf(IDBDatabase.prototype, 'transaction')
  vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (this: IDBDatabase, ...args) {
    if (seen.calls++ < times) throw new DOMException('injected', name)
    return Reflect.apply(transaction, this, args) as IDBTransaction
  })
  return seen
}

/**
 * Lets the next transaction that writes an object end badly once all of its requests have succeeded: really aborted
 * (`kept: false`), or committed although the page is told that it was not (`kept: true`).
 */
export function failCompletion(error: DOMException | null, { kept }: { kept: boolean }): { readonly writes: number } {
  const seen = { writes: 0 }
  let chosen: IDBTransaction | undefined
  let waiting = 0
  for (const method of ['add', 'put', 'delete'] as const) {
    const original = IDBObjectStore.prototype[method] as (...args: unknown[]) => IDBRequest
    const replaced = function (this: IDBObjectStore, ...args: unknown[]): IDBRequest {
      const request = Reflect.apply(original, this, args)
      if (this.name === 'objects' && method !== 'delete' && seen.writes++ === 0) {
        chosen = this.transaction
        if (kept) conceal(chosen)
        if (error !== null) Object.defineProperty(chosen, 'error', { value: error })
      }
      if (this.transaction !== chosen) return request
      waiting++
      // After the listeners of the one who made the request: to him it has succeeded.
      request.addEventListener('success', () => {
        if (--waiting === 0 && !kept) chosen!.abort()
      })
      return request
    }
    vi.spyOn(IDBObjectStore.prototype, method).mockImplementation(replaced as never)
  }
  return seen
}

/** Before its own listeners hear of it: events of a transaction pass the database on their way down. */
function conceal(tx: IDBTransaction): void {
  const complete = (event: Event): void => {
    if (event.target !== tx) return
    tx.db.removeEventListener('complete', complete, { capture: true })
    event.stopPropagation()
    queueMicrotask(() => tx.dispatchEvent(new Event('abort')))
  }
  tx.db.addEventListener('complete', complete, { capture: true })
}

/** Makes the next `times` writes into `objects` fail by themselves. */
export function failRequests(times: number, name: string): void {
  for (const method of ['add', 'put'] as const) {
    const original = IDBObjectStore.prototype[method]
    vi.spyOn(IDBObjectStore.prototype, method).mockImplementation(function (this: IDBObjectStore, ...args) {
      if (this.name === 'objects' && times-- > 0) throw new DOMException('injected', name)
      return Reflect.apply(original, this, args) as IDBRequest<IDBValidKey>
    })
  }
}

/** Makes opening fail: by an exception, or by the request's error. */
export function failOpening(
  name: string,
  { thrown, times = Infinity }: { thrown: boolean; times?: number },
): {
  readonly calls: number
} {
  const seen = { calls: 0 }
  const open = methodOf(IDBFactory.prototype, 'open')
  vi.spyOn(IDBFactory.prototype, 'open').mockImplementation(function (this: IDBFactory, ...args) {
    const error = new DOMException('injected', name)
    if (args[0].endsWith(' (journal)') || seen.calls++ >= times)
      return Reflect.apply(open, this, args) as IDBOpenDBRequest
    if (thrown) throw error
    const request = Reflect.apply(open, this, ['tidemark-test-refused', 1]) as IDBOpenDBRequest
    Object.defineProperty(request, 'error', { value: error })
    request.addEventListener('success', (event) => {
      event.stopImmediatePropagation()
      request.result.close()
      request.dispatchEvent(new Event('error'))
    })
    return request
  })
  return seen
}

/** A raw connection that ignores who waits for it, as a tab with old code may. */
export function hold(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name)
    request.addEventListener('success', () => resolve(request.result))
    request.addEventListener('error', () => reject(request.error!))
  })
}
