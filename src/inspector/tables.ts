/// <reference lib="dom" />
/** The tables of keys and values. */
import { h } from './dom.js'
import type { InspectorChange } from './source.js'

/** A row for each key, with its value then and now. Where they differ the cells say so by their colour and their title. */
export function grid(caption: string, rows: readonly InspectorChange[], names: readonly [string, string]): HTMLElement {
  const head = h('tr', {}, ...['Key', ...names].map((name) => h('th', { scope: 'col' }, name)))
  const body = rows.map(({ key, before, after }) => {
    const differs = before !== after
    return h('tr', {}, h('th', { scope: 'row' }, key), cell(before, differs && 'gone'), cell(after, differs && 'new'))
  })
  const table = h('table', {}, h('thead', {}, head), h('tbody', {}, ...body))
  // What scrolls has to be reached by the keyboard.
  return h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': caption }, table)
}

function cell(value: string | undefined, kind: string | false): HTMLElement {
  if (value === undefined) return h('td', { class: 'none' }, 'none')
  return h('td', { class: kind === false ? undefined : kind }, value)
}
