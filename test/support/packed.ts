/** Bytes and rows as the golden files have them. It runs in browsers, too. */

export type Objects = ReadonlyMap<string, Uint8Array>

/** The rows of a database, and its stores as they were made. */
export interface Rows {
  readonly version: number
  readonly stores: Readonly<Record<string, string | null>>
  readonly objects: readonly Head[]
  readonly parts: readonly (readonly [key: readonly [name: string, part: number], bytes: Uint8Array])[]
  readonly about: readonly (readonly [key: string, value: string])[]
}

interface Head {
  readonly name: string
  readonly size: number
  readonly token: string
  readonly trim: number
  readonly within?: Uint8Array
}

/** The objects, or the files, of a golden file. */
export function objectsIn(text: string): Objects {
  const hexes = Object.entries(JSON.parse(text) as Record<string, string>)
  return new Map(hexes.map(([name, hex]) => [name, unpack(hex)]))
}

/** The rows of a golden file. */
export function rowsIn(text: string): Rows {
  return JSON.parse(text, (_, value: unknown) => {
    return typeof value === 'string' && value.startsWith(BYTES) ? unpack(value.slice(BYTES.length)) : value
  }) as Rows
}

/** The text of a golden file. */
export function textOf(content: Objects | Rows): string {
  const json =
    content instanceof Map
      ? Object.fromEntries([...(content as Objects)].map(([name, bytes]) => [name, pack(bytes)]))
      : content
  const packed = (_: string, value: unknown): unknown => (value instanceof Uint8Array ? BYTES + pack(value) : value)
  return `${JSON.stringify(json, packed, 2)}\n`
}

/** Before bytes among rows. */
const BYTES = 'bytes '

/** Bytes in hex; many equal ones in a row are `(byte*how many)`. */
function pack(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length;) {
    let end = at
    while (end < bytes.length && bytes[end] === bytes[at]) end++
    const hex = bytes[at]!.toString(16).padStart(2, '0')
    text += end - at > 40 ? `(${hex}*${end - at})` : hex.repeat(end - at)
    at = end
  }
  return text
}

function unpack(text: string): Uint8Array {
  const bytes: number[] = []
  for (const [, repeated, times, once] of text.matchAll(/\((..)\*(\d+)\)|(..)/g)) {
    const byte = Number.parseInt((repeated ?? once)!, 16)
    for (let left = Number(times ?? 1); left > 0; left--) bytes.push(byte)
  }
  return Uint8Array.from(bytes)
}
