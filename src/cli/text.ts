/** Text for a terminal: harmless stored text, values for people, numbers, sizes and times. */
import { toHex } from '../bytes/hex.js'

// Control characters, and characters that turn the direction of text or break lines. In JSON they occur in strings only.
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Cs}/gu

/** Escapes characters that steer a terminal, as `\u001b`: stored text must not move the cursor or hide anything. */
export function harmless(text: string): string {
  return text.replace(UNSAFE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** The text, cut to at most `length` characters. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`
}

export function count(n: number): string {
  return n.toLocaleString('en-US')
}

/** A size as `512 B`, `1.5 KiB` or `12.0 MiB`. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const power = Math.min(4, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(1)} ${['KiB', 'MiB', 'GiB', 'TiB'][power - 1]}`
}

/** A time by ISO 8601, in UTC. */
export function time(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? `${ms} ms after 1970` : date.toISOString()
}

/** How deep values are shown, and how many bytes of them. */
const DEPTH = 64
const BYTES = 256

/**
 * Writes a key or value of the default codec for a person. JSON is as JSON.stringify writes it; the other kinds are `5n`,
 * `Date(…)`, `Map {…}`, `Set […]` and `<3 bytes 0102ff>`.
 */
export function show(value: unknown, pretty = false): string {
  return render(value, pretty, 0)
}

function render(value: unknown, pretty: boolean, depth: number): string {
  if (typeof value === 'string') return harmless(JSON.stringify(value))
  if (typeof value === 'bigint') return `${value}n`
  if (Object.is(value, -0)) return '-0'
  if (typeof value !== 'object' || value === null) return String(value)
  if (value instanceof Uint8Array) return showBytes(value)
  if (value instanceof Date) return `Date(${Number.isNaN(value.getTime()) ? 'invalid' : value.toISOString()})`
  if (depth === DEPTH) return '…'
  const inner = (v: unknown): string => render(v, pretty, depth + 1)
  const pair = ([k, v]: [unknown, unknown]): string => `${inner(k)}:${pretty ? ' ' : ''}${inner(v)}`
  if (Array.isArray(value)) return enclose('[', value.map(inner), ']', pretty, depth)
  if (value instanceof Set) return enclose('Set [', Array.from(value, inner), ']', pretty, depth)
  if (value instanceof Map) return enclose('Map {', Array.from(value, pair), '}', pretty, depth)
  return enclose('{', Object.entries(value).map(pair), '}', pretty, depth)
}

function enclose(open: string, parts: string[], close: string, pretty: boolean, depth: number): string {
  if (!pretty || parts.length === 0) return open + parts.join(',') + close
  const indent = '  '.repeat(depth)
  return `${open}\n${parts.map((part) => `${indent}  ${part}`).join(',\n')}\n${indent}${close}`
}

function showBytes(bytes: Uint8Array): string {
  const hex = toHex(bytes.subarray(0, BYTES))
  return `<${count(bytes.length)} ${bytes.length === 1 ? 'byte' : 'bytes'} ${hex}${bytes.length > BYTES ? '…' : ''}>`
}
