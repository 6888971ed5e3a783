/**
 * Reads as much XML as S3 speaks: elements, text, five named entities and character references. Anything else is refused,
 * because a list that was cut off, or came from somewhere else, must not look like a shorter list.
 */
import type { FailedKey, ListedPage } from '../s3-common/transport.js'

interface Element {
  readonly name: string
  readonly children: Element[]
  text: string
}

const DEEPEST = 16

/** The root element. Throws unless the document is whole and well-formed. */
function parseXml(source: string): Element {
  const token =
    /<\?[\s\S]*?\?>|<!--[\s\S]*?-->|<(\/?)([A-Za-z_][\w.:-]*)((?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|[^<]+/y
  const top: Element = { name: '', children: [], text: '' }
  const open: Element[] = [top]
  while (token.lastIndex < source.length) {
    const match = token.exec(source)
    if (match === null) throw new SyntaxError('This is not XML.')
    const [whole, closing, name, , empty] = match
    const inner = open[open.length - 1]!
    if (name === undefined) {
      if (!whole.startsWith('<')) inner.text += unescape(whole)
    } else if (closing) {
      if (open.length === 1 || inner.name !== name || empty) throw new SyntaxError(`</${name}> closes nothing.`)
      open.pop()
    } else {
      const element: Element = { name, children: [], text: '' }
      inner.children.push(element)
      if (!empty && open.push(element) > DEEPEST) throw new SyntaxError('The XML is too deep.')
    }
  }
  const [root, other] = top.children
  if (open.length > 1 || root === undefined || other !== undefined || top.text.trim() !== '') {
    throw new SyntaxError('The XML is not one whole element.')
  }
  return root
}

export function readListed(body: Uint8Array): ListedPage {
  const root = rootOf(body, 'ListBucketResult')
  const items = root.children
    .filter(({ name }) => name === 'Contents')
    .map((contents) => {
      const size = Number(need(contents, 'Size'))
      const time = Date.parse(find(contents, 'LastModified') ?? '')
      if (!Number.isSafeInteger(size) || size < 0) throw new SyntaxError('A listed size is no number.')
      return { key: need(contents, 'Key'), size, time: Number.isNaN(time) ? undefined : time }
    })
  const truncated = need(root, 'IsTruncated')
  if (truncated !== 'true' && truncated !== 'false') throw new SyntaxError('IsTruncated is neither true nor false.')
  return { items, truncated: truncated === 'true', continuation: find(root, 'NextContinuationToken') }
}

export function readDeleted(body: Uint8Array): FailedKey[] {
  return rootOf(body, 'DeleteResult')
    .children.filter(({ name }) => name === 'Error')
    .map((error) => ({ key: need(error, 'Key'), code: need(error, 'Code') }))
}

/** Code and message of a refusal; neither when the body is something else, such as the page of a proxy. */
export function readError(body: Uint8Array): { code?: string | undefined; message?: string | undefined } {
  try {
    const root = rootOf(body, 'Error')
    return { code: find(root, 'Code'), message: find(root, 'Message') }
  } catch {
    return {}
  }
}

export function deleteBody(keys: readonly string[]): Uint8Array {
  const objects = keys.map((key) => `<Object><Key>${escape(key)}</Key></Object>`).join('')
  const xml = `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${objects}</Delete>`
  return new TextEncoder().encode(xml)
}

function rootOf(body: Uint8Array, name: string): Element {
  const root = parseXml(new TextDecoder('utf-8', { fatal: true }).decode(body))
  if (root.name !== name) throw new SyntaxError(`<${name}> was expected, not <${root.name}>.`)
  return root
}

function find(element: Element, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text
}

function need(element: Element, name: string): string {
  const text = find(element, name)
  if (text === undefined) throw new SyntaxError(`<${element.name}> has no <${name}>.`)
  return text
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescape(text: string): string {
  return text.replace(/&([^;&]*);?/g, (whole, entity: string) => {
    const known = Object.hasOwn(NAMED, entity) ? NAMED[entity] : undefined
    const number = /^#(?:x([0-9a-f]{1,6})|(\d{1,7}))$/i.exec(entity)
    const code = number ? (number[1] !== undefined ? parseInt(number[1], 16) : Number(number[2])) : -1
    if (!whole.endsWith(';') || (known === undefined && (code < 0 || code > 0x10ffff))) {
      throw new SyntaxError('The XML has an entity that is not known.')
    }
    return known ?? String.fromCodePoint(code)
  })
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
}
