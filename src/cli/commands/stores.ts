import { describeStores, type StoreLine } from '../choose.js'
import { placeCommand, placeOptions, type AddCommand, type StoreOptions } from '../context.js'
import { grid, left, right, whole, wrap, type Page } from '../grid.js'
import { plainJson } from '../json.js'
import { harmless, time } from '../../tools/text.js'

export const stores: AddCommand = (program, context) => {
  placeCommand(
    program,
    'stores',
    'List the stores of a place; the first one is meant when a command names none.',
  ).action(async (where: string, options: Omit<StoreOptions, 'store'>) => {
    const lines = await describeStores(await context.open(where, placeOptions(options)), context.clock)
    if (options.json) for (const line of lines) await context.out.line(plainJson(line))
    else await context.out.line(lines.length === 0 ? `There is no store in ${where}.` : storesTable(context, lines))
  })
}

export function storesTable(page: Page, lines: readonly StoreLine[]): string {
  const rows = lines.map(({ name, version, versionTime, mode, parent, unreadable }) =>
    [
      name,
      unreadable === undefined ? String(version) : '',
      versionTime === null ? '' : time(versionTime),
      unreadable === undefined ? mode : 'unreadable',
      parent ?? '',
    ].map(harmless),
  )
  const why = lines.flatMap(({ name, unreadable }) =>
    unreadable === undefined ? [] : wrap(harmless(`${name}: ${unreadable}`), page.width),
  )
  const columns = [left('store'), right('version'), whole('time'), left('mode'), left('fork of')]
  return [grid(page, columns, rows), ...why].join('\n')
}
