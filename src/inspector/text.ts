/** Keys and values as people read them, as JavaScript writes them where it can. */

const LONGEST = 4000

/** What is longer is cut: a page can show only so much. */
export function textOf(value: unknown, longest = LONGEST): string {
  const text = write(value, longest)
  return text.length > longest ? `${text.slice(0, longest)} … (${text.length - longest} more characters)` : text
}

function write(value: unknown, longest: number): string {
  const inner = (each: unknown): string => write(each, longest)
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? '-0' : String(value)
  if (Array.isArray(value)) return `[${value.map(inner).join(', ')}]`
  if (value instanceof Date) return `Date(${Number.isNaN(value.getTime()) ? 'invalid' : value.toISOString()})`
  if (value instanceof Uint8Array) return `bytes(${value.length}) ${hex(value.subarray(0, longest))}`
  if (value instanceof Map) return `Map {${[...value].map((pair) => pair.map(inner).join(' → ')).join(', ')}}`
  if (value instanceof Set) return `Set {${[...value].map(inner).join(', ')}}`
  const fields = Object.entries(value).map(([name, field]) => {
    return `${/^[\w$]+$/.test(name) ? name : JSON.stringify(name)}: ${inner(field)}`
  })
  return `{${fields.join(', ')}}`
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
}

/** A number of bytes in the unit in which it is short. */
export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB']
  let unit = 0
  for (; bytes >= 1024 && unit < units.length - 1; unit++) bytes /= 1024
  return `${unit === 0 ? bytes : bytes.toFixed(1)} ${units[unit]}`
}

export function count(n: number, one: string, many: string): string {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`
}

/** A moment in UTC, as the command line has it. */
export function time(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').slice(0, 19)
}
