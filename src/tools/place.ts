/** The store that a tool works on. */
import { checkFields, invalid } from '../errors.js'
import { checkStoreName } from '../manifest/names.js'
import type { Storage } from '../storage/contract.js'

/** A store: a storage, and the store's name in it. */
export interface StorePlace {
  /**
   * The storage, made by an adapter.
   * @when It may be of another kind than that of the other place.
   */
  readonly storage: Storage
  /**
   * The name with which the store is opened.
   * @when Both places may have the same name, where their storages differ.
   */
  readonly name: string
}

const FIELDS = new Set(['storage', 'name'])

export function checkPlace(what: string, place: StorePlace): void {
  checkFields(what, place, FIELDS)
  checkStorage(place.storage)
  checkStoreName(place.name)
}

export function checkStorage(storage: Storage): void {
  if (typeof storage?.log !== 'function' || !storage.blobs || !storage.capabilities) {
    throw invalid('storage: an adapter is expected, such as nodeFs() of tidemark/node-fs.')
  }
}
