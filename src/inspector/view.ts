/// <reference lib="dom" />
/** The sections of the inspector, and what happens when somebody chooses something there. */
import { time } from '../tools/text.js'
import { button, h, labelled, list, section, slider, trouble, wide } from './dom.js'
import { describe, kindOf, KINDS, many, parts, timeline } from './drawing.js'
import type { InspectorFacts, InspectorPage, InspectorSource, InspectorVersion, VersionPair } from './source.js'
import { grid } from './tables.js'

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
  /** The keys of each partition, and of which table in which version they are. */
  #counts: { readonly of: string; readonly keys: readonly number[] } | undefined
  /** The version that is looked at, and the one beside it; `undefined` is the newest. */
  #chosen: number | undefined
  #other: number | undefined
  /** The pages of the table up to this one: where each begins. */
  #pages: (string | undefined)[] = [undefined]
  #hasEnded = false
  #isLooking = false
  #looksAgain = false
  /** An answer to an older choice is not shown. */
  #turn = 0
  /** The data that each place shows: it is made anew only for others, so that nothing moves under a reader. */
  readonly #shown = new Map<HTMLElement, string>()

  readonly #head = h('div')
  readonly #warning = h('p', { class: 'trouble' })
  readonly #legend = h('p', { class: 'bar' })
  readonly #bars = h('div')
  readonly #slider = slider((at) => this.#choose(at))
  readonly #second = slider((at) => this.#chooseOther(at))
  readonly #described = h('p')
  readonly #secondDescribed = h('p')
  readonly #acts = h('div', { class: 'bar' })
  readonly #done = h('p', { role: 'status' })
  readonly #parts = h('div', { class: 'parts' })
  readonly #table = h('select', {}, h('option', { value: '' }, 'the default table'))
  readonly #prefix = h('input', { type: 'text', placeholder: 'all keys', size: 12 })
  readonly #rows = h('div')
  readonly #pager = h('div', { class: 'bar' })
  readonly #changes = h('div')
  readonly #tag = h('input', { type: 'text', size: 14, placeholder: 'before-migration' })
  readonly #troubles = { store: trouble(), act: trouble(), count: trouble(), rows: trouble(), changes: trouble() }

  constructor(source: InspectorSource) {
    this.#source = source
    for (const input of [this.#table, this.#prefix]) input.addEventListener('change', () => this.#showPair())
    const troubles = this.#troubles
    const restore = button('Restore this version', () => {
      const version = this.#pair[0]
      void this.#act(this.#source.restore(version), `Version ${version} is back, as a new version.`)
    })
    const tag = button('Tag it', () => {
      const version = this.#pair[0]
      void this.#act(
        this.#source.tag(this.#tag.value, version),
        `Version ${version} is kept under the name ${this.#tag.value}.`,
      )
    })
    this.#acts.append(restore, labelled('Tag', this.#tag), tag)
    this.#acts.hidden = true
    this.sections = [
      section('Store', undefined, this.#head, this.#warning, troubles.store),
      section(
        'Versions',
        'Each commit is a version. The higher its bar, the larger its changes.',
        this.#legend,
        this.#bars,
        wide('Version to look at', this.#slider),
        this.#described,
        wide('Beside it', this.#second),
        this.#secondDescribed,
        this.#acts,
        this.#done,
        troubles.act,
      ),
      section(
        'How it is stored',
        'Commits are entries of one log. Now and then the log is folded into sorted segments, and segments are merged as they add up.',
        this.#parts,
        troubles.count,
      ),
      section(
        'Entries',
        'The keys of a table in both versions. Values that differ have a colour.',
        h('div', { class: 'bar' }, labelled('Table', this.#table), labelled('Keys that begin with', this.#prefix)),
        this.#rows,
        this.#pager,
        troubles.rows,
      ),
      section('Differences', undefined, this.#changes, troubles.changes),
    ]
  }

  /** Reads the store again. While it reads, any number of calls is one more look. */
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
      await this.#try(this.#troubles.store, async () => {
        const [facts, versions] = await Promise.all([this.#source.facts(), this.#source.versions()])
        if (this.#hasEnded) return
        this.#facts = facts
        this.#versions = versions
        this.#showStore(facts)
        this.#showVersions()
        await this.#read()
      })
    }
    this.#isLooking = false
  }

  /** An error is told where it belongs; the rest of the page goes on. */
  async #try(place: HTMLElement, act: () => Promise<void>): Promise<boolean> {
    let told = ''
    try {
      await act()
    } catch (error) {
      told = error instanceof Error ? error.message : String(error)
    }
    place.textContent = told
    return told === ''
  }

  #put(place: HTMLElement, data: unknown, make: () => readonly Element[]): void {
    const text = JSON.stringify(data) ?? ''
    if (this.#shown.get(place) === text) return
    this.#shown.set(place, text)
    const top = place.querySelector('.scroll')?.scrollTop ?? 0
    place.replaceChildren(...make())
    place.querySelector('.scroll')?.scrollTo({ top })
  }

  #showStore(facts: InspectorFacts): void {
    const { name, job, mode, version, partitions: number, created, tables, writable, totals, warning = '' } = facts
    const told: [string, string][] = [
      ['version', String(version)],
      ['mode', mode],
      ['partitions', String(number)],
      ...(job === undefined ? [] : [['job', job] satisfies [string, string]]),
      ['created', time(created)],
    ]
    const counted = Object.entries(totals).filter(([, total]) => total > 0)
    this.#put(this.#head, [told, name, counted], () => [
      h('h2', {}, `Store ${JSON.stringify(name)}`),
      list(told),
      ...(counted.length === 0 ? [] : [h('p', {}, 'Since it was opened here:')]),
      list(counted.map(([what, total]) => [what, total.toLocaleString('en')])),
    ])
    this.#warning.textContent = warning
    const value = this.#table.value
    const named = tables.filter((table) => table.name !== '')
    this.#put(this.#table, tables, () => [
      h('option', { value: '' }, 'the default table'),
      ...named.map((table) => h('option', { value: table.name }, `${table.name} (${table.codec})`)),
    ])
    this.#table.value = [...this.#table.options].some((option) => option.value === value) ? value : ''
    this.#acts.hidden = !writable
  }

  #showVersions(): void {
    const isKept = (version: number | undefined): boolean => this.#versions.some((kept) => kept.version === version)
    if (!isKept(this.#chosen)) this.#chosen = undefined
    if (!isKept(this.#other)) this.#other = undefined
    for (const each of [this.#slider, this.#second]) {
      each.max = String(Math.max(0, this.#versions.length - 1))
      each.disabled = this.#versions.length === 0
    }
    const kinds = new Set(this.#versions.map(kindOf))
    const marks = Object.entries(KINDS).filter(([kind]) => kinds.has(kind as keyof typeof KINDS))
    this.#put(this.#legend, marks, () =>
      marks.map(([kind, text]) => h('span', {}, h('span', { class: `key ${kind}` }), text)),
    )
    this.#showChoice()
  }

  /** The version that is looked at, and the one that it is compared with. */
  get #pair(): VersionPair {
    const newest = this.#facts?.version ?? 0
    return [this.#chosen ?? newest, this.#other ?? newest]
  }

  /** Who is at the end stays there when there are more. */
  #versionAt(at: number): number | undefined {
    return at === this.#versions.length - 1 ? undefined : this.#versions[at]?.version
  }

  #choose(at: number): void {
    this.#chosen = this.#versionAt(at)
    this.#showPair()
  }

  #chooseOther(at: number): void {
    this.#other = this.#versionAt(at)
    this.#showPair()
  }

  /** Shows what was chosen just now, from its first page on. */
  #showPair(): void {
    this.#pages = [undefined]
    this.#showChoice()
    void this.#read()
  }

  #showChoice(): void {
    const places = this.#pair.map((wanted) => this.#versions.findIndex(({ version }) => version === wanted))
    const sliders = [
      [this.#slider, this.#described],
      [this.#second, this.#secondDescribed],
    ] as const
    for (const [i, [input, text]] of sliders.entries()) {
      const version = this.#versions[places[i]!]
      const told = version ? describe(version) : 'Nothing is committed yet.'
      input.value = String(places[i])
      input.setAttribute('aria-valuetext', told)
      text.textContent = version ? `${told}; offsets ${version.offsets}` : told
    }
    this.#put(this.#bars, [this.#versions, places], () => [timeline(this.#versions, places, (at) => this.#choose(at))])
    this.#showParts()
  }

  #showParts(): void {
    const facts = this.#facts
    if (!facts) return
    const counts = this.#counts?.of === this.#countable ? this.#counts.keys : undefined
    const { tail, runs, partitions } = facts
    const table = this.#table.value === '' ? 'the default table' : `table ${this.#table.value}`
    const said = counts ? `keys of ${table} in version ${this.#pair[0]}` : ''
    this.#put(this.#parts, [tail, runs, partitions, counts, said], () => {
      const ask = counts ? [] : [button('Count the keys of each partition', () => void this.#count())]
      return parts(facts, counts, said, ask)
    })
  }

  get #countable(): string {
    return JSON.stringify([this.#table.value, this.#pair[0]])
  }

  async #count(): Promise<void> {
    const of = this.#countable
    await this.#try(this.#troubles.count, async () => {
      const keys = await this.#source.counts(this.#table.value, this.#pair[0])
      if (of !== this.#countable) return
      this.#counts = { of, keys }
      this.#showParts()
    })
  }

  async #read(): Promise<void> {
    const turn = ++this.#turn
    const isWanted = (): boolean => turn === this.#turn && !this.#hasEnded
    const range = { table: this.#table.value, prefix: this.#prefix.value }
    const pair = this.#pair
    const names = pair.map((version) => `Version ${version}`) as [string, string]
    const isSame = pair[0] === pair[1]
    /** What cannot be read is not shown as it was before. */
    const ask = async <T>(place: HTMLElement, alert: HTMLElement, asked: Promise<T>, tell: (answer: T) => void) => {
      await this.#try(alert, async () => {
        const answer = await asked.catch((error: unknown) => {
          this.#put(place, undefined, () => [])
          throw error
        })
        if (isWanted()) tell(answer)
      })
    }
    await ask(this.#rows, this.#troubles.rows, this.#source.rows(range, pair, this.#pages.at(-1)), (page) => {
      this.#put(this.#rows, [page.rows, names], () => [
        page.rows.length === 0 ? h('p', {}, 'There are no entries.') : grid('Entries', page.rows, names),
      ])
      this.#showPager(page)
    })
    await ask(this.#changes, this.#troubles.changes, this.#source.changes(range, pair), ({ rows, more }) => {
      const found = `${more ? 'More than ' : ''}${many(rows.length, 'key differs', 'keys differ')} between versions ${pair[0]} and ${pair[1]}.`
      const text = isSame ? 'Choose an older version to see what has changed since.' : found
      this.#put(this.#changes, [text, rows], () => [
        h('p', { role: 'status' }, text),
        ...(rows.length === 0 ? [] : [grid('Differences', rows, names)]),
      ])
    })
    if (isWanted() && this.#facts?.isSmall) await this.#count()
  }

  #showPager({ next }: InspectorPage): void {
    const isFirst = this.#pages.length === 1
    const turn = (pages: (string | undefined)[]): void => {
      this.#pages = pages
      void this.#read()
    }
    this.#put(this.#pager, [this.#pages, next], () => {
      if (isFirst && next === undefined) return []
      const back = button('Previous keys', () => turn(this.#pages.slice(0, -1)), { disabled: isFirst })
      const on = button('Next keys', () => turn([...this.#pages, next]), { disabled: next === undefined })
      return [back, on]
    })
  }

  async #act(acting: Promise<void>, told: string): Promise<void> {
    this.#done.textContent = ''
    const isDone = await this.#try(this.#troubles.act, () => acting)
    if (isDone) this.#done.textContent = told
    this.look()
  }
}
