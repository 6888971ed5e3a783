/// <reference lib="dom" />
/** Elements with their attributes and children. No attribute is a style, so that a strict content policy holds. */

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>
type Child = Node | string | undefined

/** An element of HTML. An attribute that is `true` is there, one that is `false` or `undefined` is not. */
export function h<N extends keyof HTMLElementTagNameMap>(
  name: N,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[N] {
  return fill(document.createElement(name), attributes, children)
}

/** An element of SVG. */
export function svg(name: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name) as SVGElement, attributes, children)
}

function fill<E extends Element>(element: E, attributes: Attributes, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : String(value))
  }
  element.append(...children.filter((child) => child !== undefined))
  return element
}

/** A label with what it is for. */
export function labelled(text: string, control: HTMLElement): HTMLLabelElement {
  return h('label', {}, h('span', {}, text), control)
}

export function button(text: string, act: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const made = h('button', { type: 'button', ...attributes }, text)
  made.addEventListener('click', act)
  return made
}

/** A slider over places in a list, which begins empty. */
export function slider(choose: (at: number) => void): HTMLInputElement {
  const made = h('input', { type: 'range', min: 0, max: 0, step: 1 })
  made.addEventListener('input', () => choose(Number(made.value)))
  return made
}

/** A part of a page with its heading. */
export function section(name: string, text: string | undefined, ...parts: HTMLElement[]): HTMLElement {
  // The first one has the store's name for its heading.
  const heading = name === 'Store' ? [] : [h('h2', {}, name)]
  const told = text === undefined ? [] : [h('p', {}, text)]
  return h('section', { 'aria-label': name }, ...heading, ...told, ...parts)
}

/** A picture with what it shows in words. */
export function figure(name: string, text: string, ...parts: (HTMLElement | SVGElement)[]): HTMLElement {
  return h('figure', {}, h('figcaption', {}, h('b', {}, name), ` ${text}`), ...parts)
}

/** Names with what they stand for. */
export function list(told: readonly (readonly [string, string])[]): HTMLElement {
  return h('dl', {}, ...told.map(([what, text]) => h('div', {}, h('dt', {}, what), h('dd', {}, text))))
}

/** The place of an error. */
export function trouble(): HTMLElement {
  return h('p', { class: 'trouble', role: 'alert' })
}

/** A label above a control that is as wide as the page. */
export function wide(text: string, control: HTMLElement): HTMLLabelElement {
  const label = labelled(text, control)
  label.classList.add('wide')
  return label
}
