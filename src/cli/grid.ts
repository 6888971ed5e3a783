/** Draws tables and lists of facts that fit the terminal. */
import Table from 'cli-table3'
import stringWidth from 'string-width'
import type { Paint } from './paint.js'

export interface Column {
  readonly name: string
  readonly align: 'left' | 'right'
  /** Whether cells may be cut where there is no room. A cut one ends with an ellipsis. */
  readonly cut: boolean
}

export const left = (name: string): Column => ({ name, align: 'left', cut: true })
export const right = (name: string): Column => ({ name, align: 'right', cut: false })
/** A column that is never cut, as the rest would mean nothing. */
export const whole = (name: string): Column => ({ name, align: 'left', cut: false })

/** How a page is drawn. */
export interface Page {
  /** The width in columns of the terminal. */
  readonly width: number
  readonly paint: Paint
}

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'mid', 'left', 'right'].flatMap((side) =>
    ['', '-mid', '-left', '-right'].map((corner) => [side + corner, '']),
  ),
)
const GAP = 2
/** A cell that is cut keeps at least so many characters. */
const SHORTEST = 8

/** Draws rows under the names of their columns, without lines, so that they can be copied and searched. */
export function grid({ width, paint }: Page, columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const sizes = columns.map(({ name }, i) =>
    Math.max(...[name, ...rows.map((row) => row[i]!)].map((t) => stringWidth(t))),
  )
  // Where room is scarce, a column without content takes none.
  const isWide = sum(sizes) + GAP * (sizes.length - 1) > width
  const used = columns.map((_, i) => i).filter((i) => !isWide || rows.some((row) => row[i] !== ''))
  const widths = fit(
    used.map((i) => ({
      size: sizes[i]!,
      least: columns[i]!.cut ? Math.max(SHORTEST, columns[i]!.name.length) : Infinity,
    })),
    width,
  )
  const table = new Table({
    head: used.map((i) => paint('bold', columns[i]!.name)),
    colAligns: used.map((i) => columns[i]!.align),
    colWidths: widths,
    chars: { ...NO_LINES, middle: ' '.repeat(GAP) },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  for (const row of rows) table.push(used.map((i) => row[i]!))
  return table.toString().replace(/ +$/gm, '')
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/** Makes the widest column narrower, again and again, until all fit or none may be narrower. */
function fit(columns: readonly { readonly size: number; readonly least: number }[], width: number): number[] {
  const sizes = columns.map(({ size }) => size)
  let over = sum(sizes) + GAP * (sizes.length - 1) - width
  for (; over > 0; over--) {
    let widest = -1
    for (const [i, { least }] of columns.entries()) {
      if (sizes[i]! > least && (widest < 0 || sizes[i]! > sizes[widest]!)) widest = i
    }
    if (widest < 0) break
    sizes[widest]!--
  }
  return sizes
}

/** Draws `name  value`, a line each. A long value goes on below itself. */
export function facts({ width, paint }: Page, pairs: readonly (readonly [string, string])[], indent: number): string {
  const lines = pairs.map(([name, value]) => {
    const label = name.padEnd(indent)
    return paint('dim', name) + label.slice(name.length) + wrap(value, width - indent).join(`\n${' '.repeat(indent)}`)
  })
  return lines.join('\n')
}

/** Breaks text between words into lines of at most `width`. A longer word stays whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && stringWidth(last) + 1 + stringWidth(word) <= width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
