/// <reference lib="dom" />
/** The tables of keys and values. */
import { cut } from '../tools/text.js'
import { h } from './dom.js'
import type { InspectorRow } from './source.js'

/** Longer texts are folded up, so that one value does not hide all others. */
const LONG = 160

/** A row for each key, with its value then and now. Cells whose values differ have a colour, which their heading explains. */
export function grid(caption: string, rows: readonly InspectorRow[], names: readonly [string, string]): HTMLElement {
  const head = h('tr', {}, ...['Key', ...names].map((name) => h('th', { scope: 'col' }, name)))
  const body = rows.map(({ key, before, after, differs }) =>
    h('tr', {}, h('th', { scope: 'row' }, text(key)), cell(before, differs && 'gone'), cell(after, differs && 'new')),
  )
  const table = h('table', {}, h('thead', {}, head), h('tbody', {}, ...body))
  // Whatever scrolls has to be reached by the keyboard.
  return h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': caption }, table)
}

function cell(value: string | undefined, kind: string | false): HTMLElement {
  if (value === undefined) return h('td', { class: 'none' }, 'none')
  return h('td', { class: kind === false ? undefined : kind }, text(value))
}

function text(value: string): string | HTMLElement {
  return value.length <= LONG ? value : h('details', {}, h('summary', {}, cut(value, LONG)), value)
}
