/** Keys and values for people. */
import { toHex } from '../bytes/hex.js'
import { count, harmless } from './text.js'

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
