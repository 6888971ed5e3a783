/** The handles behind the stores that programs see, for the parts of Tidemark that work on a store from outside. */
import { invalid } from '../errors.js'
import type { StoreHandle } from './handle.js'

export const handles = new WeakMap<object, StoreHandle>()

export function handleOf(store: unknown): StoreHandle {
  const handle = handles.get(store as object)
  if (handle === undefined) throw invalid('A store is expected, as openStore() returns it.')
  return handle
}
