import { TidemarkError } from '../../errors.js'
import { verify as verifyStore, type VerifyReport } from '../../tools/verify.js'
import { placeOptions, storeCommand, type AddCommand, type StoreOptions } from '../context.js'
import { grid, left } from '../grid.js'
import { plainJson } from '../json.js'
import { withProgress } from '../progress.js'
import { count, harmless, size } from '../text.js'
import { onlyStore } from '../where.js'

export const verify: AddCommand = (program, context) => {
  storeCommand(program, 'verify', 'Read every byte that the versions of a store need, and say what is damaged.').action(
    async (where: string, options: StoreOptions) => {
      const storage = await context.open(where, placeOptions(options))
      const name = options.store ?? (await onlyStore(storage, where))
      const report = await withProgress(context, (onProgress) => verifyStore({ storage, name }, { onProgress }))
      await context.out.line(options.json ? plainJson(report) : textOf(report))
      if (report.ok) return
      const { length } = report.damages
      throw new TidemarkError(
        'CORRUPT',
        `Store "${name}" has ${length === 1 ? 'a damaged object' : `${count(length)} damages`}; restore what is listed from a backup.`,
      )
    },
  )
}

function textOf(report: VerifyReport): string {
  const { name, version, head, oldest, tags, forks, entries, segments, bytes, orphans, damages } = report
  const facts = [
    ['store', name],
    ['version', `${version}, the newest entry is ${head}`],
    ['kept', oldest === 0 ? 'no version' : `from version ${oldest} on`],
    ['tags', tags.join(', ') || 'none'],
    ['forks', forks.join(', ') || 'none'],
    ['read', `${count(entries)} entries and ${count(segments)} segments, ${size(bytes)}`],
    [
      'orphans',
      orphans.count === 0 ? 'none' : `${count(orphans.count)} blobs that nothing names, ${size(orphans.bytes)}`,
    ],
    ['damage', damages.length === 0 ? 'none' : String(damages.length)],
  ]
  const text = facts.map(([what, value]) => `${what!.padEnd(9)}${harmless(value!)}`).join('\n')
  if (damages.length === 0) return text
  const rows = damages.map(({ object, code, message }) => [object, code, message].map(harmless))
  return `${text}\n\n${grid([left('object'), left('code'), left('what is wrong')], rows)}`
}
