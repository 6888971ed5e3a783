/** The golden sets in test/golden: objects, files and rows, their bytes in hex. */
import { readFileSync, writeFileSync } from 'node:fs'
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'

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

const placeOf = (set: string): URL => new URL(`../golden/format-${set}.json`, import.meta.url)

/** The text of a golden file. */
export function goldenText(set: string): string {
  return readFileSync(placeOf(set), 'utf8')
}

export function goldenObjects(set: string): Objects {
  const hexes = Object.entries(JSON.parse(goldenText(set)) as Record<string, string>)
  return new Map(hexes.map(([name, hex]) => [name, unpack(hex)]))
}

export function goldenRows(set: string): Rows {
  return JSON.parse(goldenText(set), (_, value: unknown) => {
    return typeof value === 'string' && value.startsWith(BYTES) ? unpack(value.slice(BYTES.length)) : value
  }) as Rows
}

/** Once for each version of the format, by TIDEMARK_WRITE_GOLDEN=1, and never again after it has landed. */
export function writeGolden(set: string, content: Objects | Rows): void {
  const json =
    content instanceof Map
      ? Object.fromEntries([...(content as Objects)].map(([name, bytes]) => [name, pack(bytes)]))
      : content
  const text = JSON.stringify(
    json,
    (_, value: unknown) => (value instanceof Uint8Array ? BYTES + pack(value) : value),
    2,
  )
  writeFileSync(placeOf(set), `${text}\n`)
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

/** A storage in memory that holds the objects. */
export async function loadObjects(objects: Objects): Promise<Storage> {
  const storage = memory()
  for (const [name, bytes] of objects) {
    const entry = /^(.*)\/log\/(\d{16})$/.exec(name)
    if (entry) await storage.log(entry[1]!).append(Number(entry[2]), bytes, 1)
    else if (name.endsWith('/anchor')) await storage.anchor(name).swap(undefined, bytes, 0)
    else await storage.blobs.put(name, bytes)
  }
  return storage
}
