/** The rows of a database of IndexedDB, read and written without the adapter. */
import type { Rows } from './packed.js'

const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result))
    request.addEventListener('error', () => reject(request.error!))
  })

/** All that a database holds. */
export async function readRows(factory: IDBFactory, name: string): Promise<Rows> {
  const db = await done(factory.open(name))
  const names = [...db.objectStoreNames]
  const tx = db.transaction(names)
  const stores = Object.fromEntries(names.map((store) => [store, tx.objectStore(store).keyPath as string | null]))
  const all = async (store: string): Promise<never> => {
    const keys = await done(tx.objectStore(store).getAllKeys())
    const values = await done(tx.objectStore(store).getAll())
    return (stores[store] === null ? keys.map((key, i) => [key, values[i]]) : values) as never
  }
  const rows = {
    version: db.version,
    stores,
    objects: await all('objects'),
    parts: await all('parts'),
    about: await all('about'),
  }
  db.close()
  return rows
}

/** Makes a database of these rows. */
export async function putRows(factory: IDBFactory, name: string, rows: Rows): Promise<void> {
  const request = factory.open(name, rows.version)
  request.addEventListener('upgradeneeded', () => {
    for (const [store, keyPath] of Object.entries(rows.stores)) request.result.createObjectStore(store, { keyPath })
  })
  const db = await done(request)
  const tx = db.transaction(['objects', 'parts', 'about'], 'readwrite')
  for (const head of rows.objects) await done(tx.objectStore('objects').put(head))
  for (const store of ['parts', 'about'] as const) {
    for (const [key, value] of rows[store]) await done(tx.objectStore(store).put(value, key as IDBValidKey))
  }
  db.close()
}
