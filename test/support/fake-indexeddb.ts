/** IndexedDB where there is none, for as long as a function runs. */
import * as fake from 'fake-indexeddb'

export async function withIndexedDb<T>(run: (factory: IDBFactory) => Promise<T>): Promise<T> {
  const globals = globalThis as Record<string, unknown>
  const factory = new fake.IDBFactory()
  const lent: Record<string, unknown> = { indexedDB: factory }
  for (const [name, value] of Object.entries(fake)) if (name.startsWith('IDB')) lent[name] = value
  const before = Object.keys(lent).map((name) => [name, Object.getOwnPropertyDescriptor(globals, name)] as const)
  for (const [name, value] of Object.entries(lent)) {
    Object.defineProperty(globals, name, { value, configurable: true, writable: true })
  }
  try {
    return await run(factory)
  } finally {
    for (const [name, descriptor] of before) {
      delete globals[name]
      if (descriptor) Object.defineProperty(globals, name, descriptor)
    }
  }
}
