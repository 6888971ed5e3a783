/** Text for people, in a terminal and on a page: harmless stored text, numbers, sizes and times. */

// Control characters, and characters that turn the direction of text or break lines. In JSON they occur in strings only.
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Cs}/gu

/** Escapes characters that steer a terminal or turn text, as `\u001b`: stored text must not move the cursor or hide anything. */
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
