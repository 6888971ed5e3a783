/** Which store a tool is to work on. */
import { checkFields, invalid } from '../errors.js'
import { checkStoreName } from '../manifest/names.js'
import type { Storage } from '../storage/contract.js'

export interface StorePlace {
  readonly storage: Storage
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
