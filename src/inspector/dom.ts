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
