import Table from 'cli-table3'

export interface Column {
  readonly name: string
  readonly align: 'left' | 'right'
}

export const left = (name: string): Column => ({ name, align: 'left' })
export const right = (name: string): Column => ({ name, align: 'right' })

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'mid', 'left', 'right'].flatMap((side) =>
    ['', '-mid', '-left', '-right'].map((corner) => [side + corner, '']),
  ),
)

/** Rows under the names of their columns, without lines and colours, so that they can be copied and searched. */
export function grid(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const table = new Table({
    head: columns.map(({ name }) => name),
    colAligns: columns.map(({ align }) => align),
    chars: { ...NO_LINES, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  for (const row of rows) table.push([...row])
  return table.toString().replace(/ +$/gm, '')
}
