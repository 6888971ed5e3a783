/// <reference lib="dom" />
/** The element: what it is given, and when it is there. */
import type { Store } from '../index.js'
import { remoteSource } from './remote.js'
import type { InspectorSource } from './source.js'
import { STYLE } from './style.js'
import { show } from './view.js'

/** Makes the class when there is a document: a program may be loaded where there is none. */
export function makeElement(): CustomElementConstructor {
  return class extends HTMLElement {
    static readonly observedAttributes = ['src', 'write']
    #store: Store | undefined
    #source: InspectorSource | undefined
    #stop: (() => void) | undefined

    get store(): Store | undefined {
      return this.#store
    }

    set store(store: Store | undefined) {
      this.#store = store
      this.#source = undefined
      this.#begin()
    }

    get source(): InspectorSource | undefined {
      return this.#source
    }

    set source(source: InspectorSource | undefined) {
      this.#source = source
      this.#store = undefined
      this.#begin()
    }

    connectedCallback(): void {
      // What was set before the element was known lies on the object itself.
      for (const name of ['store', 'source'] as const) {
        if (!Object.hasOwn(this, name)) continue
        const given = this[name]
        delete this[name]
        Object.assign(this, { [name]: given })
      }
      this.#begin()
    }

    disconnectedCallback(): void {
      this.#end()
    }

    attributeChangedCallback(): void {
      this.#begin()
    }

    #begin(): void {
      this.#end()
      if (!this.isConnected) return
      if (!this.shadowRoot) this.#makeRoot()
      const source = this.#source ?? this.#ofAddress()
      if (this.#store) void this.#showStore(this.#store)
      else if (source) this.#show(source)
    }

    #show(source: InspectorSource): void {
      this.#stop = show(this.shadowRoot!, source)
    }

    /** Reading a store takes parts of Tidemark that the page of a server does without. */
    async #showStore(store: Store): Promise<void> {
      let isWanted = true
      this.#stop = () => (isWanted = false)
      const { inspectorSource } = await import('./local.js')
      if (isWanted) this.#show(inspectorSource(store, this.hasAttribute('write')))
    }

    #ofAddress(): InspectorSource | undefined {
      const address = this.getAttribute('src')
      return address === null ? undefined : remoteSource(address)
    }

    #makeRoot(): void {
      const root = this.attachShadow({ mode: 'open' })
      const sheet = new CSSStyleSheet()
      sheet.replaceSync(STYLE)
      root.adoptedStyleSheets = [sheet]
    }

    #end(): void {
      this.#stop?.()
      this.#stop = undefined
      this.shadowRoot?.replaceChildren()
    }
  }
}
