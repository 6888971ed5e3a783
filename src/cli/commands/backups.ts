import { backups as backupsOf } from '../../transfer/backups.js'
import { placeOf, storeCommand, type AddCommand, type StoreOptions } from '../context.js'
import { grid, left, right, whole } from '../grid.js'
import { plainJson } from '../json.js'
import { harmless, time } from '../../tools/text.js'

export const backups: AddCommand = (program, context) => {
  storeCommand(program, 'backups', 'List the tagged versions of a store, oldest first; pull brings one back.').action(
    async (where: string, options: StoreOptions) => {
      const place = await placeOf(context, where, options)
      const found = await backupsOf(place)
      if (options.json) {
        for (const backup of found) await context.out.line(plainJson(backup))
        return
      }
      const rows = found.map(({ name, version, time: at, tagged }) => [
        harmless(name),
        String(version),
        time(at),
        time(tagged),
      ])
      const columns = [left('backup'), right('version'), whole('time'), whole('tagged')]
      await context.out.line(
        rows.length === 0 ? `Store "${place.name}" has no tagged version.` : grid(context, columns, rows),
      )
    },
  )
}
