/// <reference lib="dom" />
/** What the inspector shows, and what happens when somebody chooses something there. */
import { button, h, labelled } from './dom.js'
import { describe, kindOf, KINDS, parts, timeline, type VersionKind } from './drawing.js'
import type { InspectorFacts, InspectorPage, InspectorSource, InspectorVersion, VersionPair } from './source.js'
import { grid } from './tables.js'
import { count, textOf } from './text.js'

/** Fills the root, and keeps it up to date. Returns a function that stops that. */
export function show(root: ShadowRoot, source: InspectorSource): () => void {
  const view = new View(source)
  root.replaceChildren(...view.sections)
  view.look()
  const stop = source.watch(() => view.look())
  return () => {
    stop()
    view.end()
  }
}

class View {
  readonly sections: readonly HTMLElement[]
  readonly #source: InspectorSource
  #versions: readonly InspectorVersion[] = []
  #facts: InspectorFacts | undefined
  #counts: readonly number[] | undefined
  /** The version that is looked at, and the one that it is compared with; `undefined` is the newest. */
  #chosen: number | undefined
  #other: number | undefined
  /** The pages of the table up to this one: where each begins. */
  #pages: (number | undefined)[] = [undefined]
  #hasEnded = false
  #isLooking = false
  #looksAgain = false
  /** What comes for an older choice is not shown. */
  #turn = 0

  readonly #trouble = h('p', { class: 'trouble', role: 'alert' })
  readonly #head = h('div')
  readonly #legend = h('p', { class: 'bar' })
  readonly #bars = h('div')
  readonly #slider = h('input', { type: 'range', min: 0, max: 0, step: 1 })
  readonly #described = h('p')
  readonly #acts = h('div', { class: 'bar' })
  readonly #parts = h('div')
  readonly #with = h('select')
  readonly #table = h('input', { type: 'text', list: 'tables', placeholder: 'the default table', size: 16 })
  readonly #tables = h('datalist', { id: 'tables' })
  readonly #prefix = h('input', { type: 'text', placeholder: 'all keys', size: 12 })
  readonly #rows = h('div')
  readonly #pager = h('div', { class: 'bar' })
  readonly #changes = h('div')
  readonly #tag = h('input', { type: 'text', size: 14, placeholder: 'before-migration' })

  constructor(source: InspectorSource) {
    this.#source = source
    this.#slider.addEventListener('input', () => this.#choose(Number(this.#slider.value)))
    this.#with.addEventListener('change', () => {
      this.#other = this.#with.value === '' ? undefined : Number(this.#with.value)
      this.#showPair()
    })
    for (const input of [this.#table, this.#prefix]) input.addEventListener('change', () => this.#showPair())
    const countKeys = button('Count the keys of each partition', () => void this.#count())
    this.sections = [
      h('section', { 'aria-label': 'Store' }, this.#head, this.#trouble),
      h(
        'section',
        { 'aria-label': 'Versions' },
        h('h2', {}, 'Versions'),
        this.#legend,
        this.#bars,
        wide('Version to look at', this.#slider),
        this.#described,
        this.#acts,
      ),
      h('section', { 'aria-label': 'Parts' }, h('h2', {}, 'Parts'), this.#parts, countKeys),
      h(
        'section',
        { 'aria-label': 'Entries' },
        h('h2', {}, 'Entries'),
        h(
          'div',
          { class: 'bar' },
          labelled('Table', this.#table),
          labelled('Keys that begin with', this.#prefix),
          labelled('Compare with', this.#with),
        ),
        this.#tables,
        this.#rows,
        this.#pager,
      ),
      h('section', { 'aria-label': 'Differences' }, h('h2', {}, 'Differences'), this.#changes),
    ]
  }

  /** Reads what there is now. While it reads, any number of calls is one more look. */
  look(): void {
    this.#looksAgain = true
    if (!this.#isLooking) void this.#looks()
  }

  end(): void {
    this.#hasEnded = true
  }

  async #looks(): Promise<void> {
    this.#isLooking = true
    while (this.#looksAgain && !this.#hasEnded) {
      this.#looksAgain = false
      await this.#try(async () => {
        const [facts, versions] = await Promise.all([this.#source.facts(), this.#source.versions()])
        if (this.#hasEnded) return
        this.#facts = facts
        this.#versions = versions
        this.#counts = undefined
        this.#showStore(facts)
        this.#showVersions()
      })
    }
    this.#isLooking = false
  }

  async #try(act: () => Promise<void>): Promise<void> {
    try {
      await act()
      this.#trouble.textContent = ''
    } catch (error) {
      this.#trouble.textContent = error instanceof Error ? error.message : String(error)
    }
  }

  /** Says which colour is which, of those that are there. */
  #showLegend(): void {
    const kinds = new Set(this.#versions.map(kindOf))
    const marks = Object.entries(KINDS).filter(([kind]) => kinds.has(kind as VersionKind))
    this.#legend.replaceChildren(
      ...marks.map(([kind, text]) => h('span', {}, h('span', { class: `key ${kind}` }), text)),
    )
  }

  #showStore(facts: InspectorFacts): void {
    const { name, mode, version, writable, totals, tables } = facts
    const told: [string, string][] = [
      ['mode', mode],
      ['version', String(version)],
      ...Object.entries(totals).map(([what, total]): [string, string] => [what, total.toLocaleString('en')]),
    ]
    this.#head.replaceChildren(
      h('h2', {}, `Store ${textOf(name)}`),
      h('dl', {}, ...told.map(([what, text]) => h('div', {}, h('dt', {}, what), h('dd', {}, text)))),
    )
    this.#tables.replaceChildren(
      ...tables.filter((table) => table !== '').map((table) => h('option', { value: table })),
    )
    this.#acts.hidden = !writable
    this.#parts.replaceChildren(...parts(facts, this.#versions, this.#counts))
  }

  #showVersions(): void {
    const newest = this.#versions.at(-1)
    const isKept = (version: number | undefined): boolean => this.#versions.some((kept) => kept.version === version)
    if (!isKept(this.#chosen)) this.#chosen = undefined
    if (!isKept(this.#other)) this.#other = undefined
    this.#slider.max = String(Math.max(0, this.#versions.length - 1))
    this.#slider.disabled = newest === undefined
    this.#with.replaceChildren(
      h('option', { value: '' }, 'the newest version'),
      ...this.#versions.map((version) => h('option', { value: version.version }, describe(version))).reverse(),
    )
    this.#with.value = this.#other === undefined ? '' : String(this.#other)
    this.#showLegend()
    if (this.#acts.childElementCount === 0) {
      const restore = button('Restore this version', () => void this.#act((version) => this.#source.restore(version)))
      const tag = button('Tag it', () => void this.#act((version) => this.#source.tag(this.#tag.value, version)))
      this.#acts.replaceChildren(restore, labelled('Tag', this.#tag), tag)
    }
    this.#showPair()
  }

  /** The version that is looked at, and the one that it is compared with. */
  get #pair(): VersionPair {
    const newest = this.#facts?.version ?? 0
    return [this.#chosen ?? newest, this.#other ?? newest]
  }

  #choose(at: number): void {
    // Who is at the end stays there when there are more.
    this.#chosen = at === this.#versions.length - 1 ? undefined : this.#versions[at]?.version
    this.#showPair()
  }

  #showPair(): void {
    const [before] = this.#pair
    const at = this.#versions.findIndex(({ version }) => version === before)
    const chosen = this.#versions[at]
    this.#slider.value = String(at)
    const told = chosen ? describe(chosen) : 'Nothing is committed yet.'
    this.#slider.setAttribute('aria-valuetext', told)
    this.#described.textContent = chosen ? `${told}; offsets ${chosen.offsets}` : told
    this.#bars.replaceChildren(timeline(this.#versions, at, (clicked) => this.#choose(clicked)))
    this.#pages = [undefined]
    void this.#read()
  }

  async #read(): Promise<void> {
    const turn = ++this.#turn
    const range = { table: this.#table.value, prefix: this.#prefix.value }
    const pair = this.#pair
    await this.#try(async () => {
      const page = await this.#source.rows(range, pair, this.#pages.at(-1))
      const { changes, more } = await this.#source.changes(range, pair)
      if (turn !== this.#turn || this.#hasEnded) return
      const names = pair.map((version) => `Version ${version}`) as [string, string]
      this.#rows.replaceChildren(
        page.rows.length === 0 ? h('p', {}, 'There are no entries.') : grid('Entries', page.rows, names),
      )
      this.#showPager(page)
      const told = `${more ? 'More than ' : ''}${count(changes.length, 'key differs', 'keys differ')} between versions ${pair[0]} and ${pair[1]}.`
      const text = pair[0] === pair[1] ? 'Choose an older version to see what has changed since.' : told
      this.#changes.replaceChildren(
        h('p', { role: 'status' }, text),
        ...(changes.length === 0 ? [] : [grid('Differences', changes, names)]),
      )
    })
  }

  #showPager({ next }: InspectorPage): void {
    const isFirst = this.#pages.length === 1
    const turn = (pages: (number | undefined)[]): void => {
      this.#pages = pages
      void this.#read()
    }
    const back = button('Previous keys', () => turn(this.#pages.slice(0, -1)), { disabled: isFirst })
    const on = button('Next keys', () => turn([...this.#pages, next]), { disabled: next === undefined })
    this.#pager.replaceChildren(...(isFirst && next === undefined ? [] : [back, on]))
  }

  async #count(): Promise<void> {
    await this.#try(async () => {
      this.#counts = await this.#source.counts(this.#table.value, this.#pair[0])
      if (this.#facts) this.#parts.replaceChildren(...parts(this.#facts, this.#versions, this.#counts))
    })
  }

  async #act(act: (version: number) => Promise<void>): Promise<void> {
    await this.#try(async () => {
      await act(this.#pair[0])
      this.look()
    })
  }
}

function wide(text: string, control: HTMLElement): HTMLLabelElement {
  const label = labelled(text, control)
  label.classList.add('wide')
  return label
}
