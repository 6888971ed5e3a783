/** An element that shows what a store holds, and how it came to be: for development, on a page of your own. */
import type { Store } from '../index.js'
import { makeElement } from './element.js'
import type { InspectorSource } from './source.js'

export type * from './source.js'

/** The properties of the element. Its attribute `write` lets whoever looks restore and tag versions. */
export interface TidemarkInspector {
  /** The store to show. It stays open. */
  store: Pick<Store, 'name'> | undefined
  /** What to show instead: a store that is elsewhere. */
  source: InspectorSource | undefined
}

declare global {
  // Where there is no DOM these declarations have to make sense, too.
  interface HTMLElement {}
  interface HTMLElementTagNameMap {
    'tidemark-inspector': HTMLElement & TidemarkInspector
  }
}

/**
 * Makes `<tidemark-inspector>` known to the page; a second call does nothing.
 * @example
 *     defineInspector()
 *     const inspector = document.createElement('tidemark-inspector')
 *     inspector.store = store
 *     document.body.append(inspector)
 */
export function defineInspector(): void {
  if (!customElements.get('tidemark-inspector')) customElements.define('tidemark-inspector', makeElement())
}
