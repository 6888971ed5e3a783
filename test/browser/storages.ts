/** The adapters of the browser, in the place of test/support/storages.ts. */
import { afterAll } from 'vitest'
import type { Storage } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import type { AdapterRow } from '../support/counting.js'

const names: string[] = []
afterAll(() => Promise.all(names.splice(0).map(deleteDatabase)))

/** The name of a database that does not exist yet, and that is deleted when the tests of this file have run. */
export function freshName(): string {
  const name = `tidemark-test-${crypto.randomUUID()}`
  names.push(name)
  return name
}

export { collect } from '../support/collect.js'

/** Stores in it are opened as elsewhere: by default for one owner. */
export function ownedDb(name: string): Storage {
  const storage = indexedDb(name)
  return { ...storage, capabilities: { ...storage.capabilities, mode: undefined } }
}

export const adapters: readonly AdapterRow[] = [{ adapter: 'indexedDb', make: () => ownedDb(freshName()) }]

export function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name)
    request.addEventListener('success', () => resolve())
    request.addEventListener('error', () => reject(request.error!))
  })
}
