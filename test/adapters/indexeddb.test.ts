/** indexedDb() where there is no IndexedDB: it can be imported and made, and says what is missing when it is used. */
import { afterEach, expect, test } from 'vitest'
import { openStore } from 'tidemark'
import { forAdapter } from '../support/counting.js'

forAdapter('indexedDb')

const GLOBALS = ['indexedDB', 'navigator', 'IDBKeyRange', 'IDBDatabase', 'IDBRequest', 'window', 'document'] as const
const before = GLOBALS.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const)

afterEach(() => {
  for (const [name, descriptor] of before) {
    delete (globalThis as Record<string, unknown>)[name]
    if (descriptor !== undefined) Object.defineProperty(globalThis, name, descriptor)
  }
})

test('importing indexedDb and calling it touch no global', async () => {
  const touched: string[] = []
  for (const name of GLOBALS) {
    Object.defineProperty(globalThis, name, { configurable: true, get: () => void touched.push(name) })
  }
  const { indexedDb } = await import('tidemark/indexeddb')
  const storage = indexedDb('app', { persist: true })
  storage.log('s/0/id')
  storage.anchor('s/0/anchor')
  expect(touched).toEqual([])
})

test('the first use without IndexedDB says so in a sentence', async () => {
  const { indexedDb } = await import('tidemark/indexeddb')
  const storage = indexedDb('app', { persist: true })
  for (const use of [
    () => openStore({ storage, name: 's' }),
    () => storage.blobs.get('a'),
    () => storage.log('s/0/id').append(1, new Uint8Array(1), 1),
  ]) {
    const error = await use().catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: false })
    expect(String(error)).toContain('There is no IndexedDB here')
  }
})

test('an IndexedDB that may not even be looked at is refused in a sentence', async () => {
  Object.defineProperty(globalThis, 'indexedDB', {
    configurable: true,
    get() {
      throw new DOMException('The operation is insecure.', 'SecurityError')
    },
  })
  const { indexedDb } = await import('tidemark/indexeddb')
  await expect(indexedDb('app').logs('')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: false })
})
