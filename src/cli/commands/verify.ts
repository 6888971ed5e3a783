import { TidemarkError } from '../../errors.js'
import type { VerifyReport } from '../../tools/findings.js'
import { verify as verifyStore } from '../../tools/verify.js'
import { placeOf, storeCommand, type AddCommand, type Context, type StoreOptions } from '../context.js'
import { facts as factList, wrap } from '../grid.js'
import { plainJson } from '../json.js'
import { withProgress } from '../progress.js'
import { inFlags } from '../messages.js'
import { count, harmless, size } from '../../tools/text.js'

export const verify: AddCommand = (program, context) => {
  storeCommand(program, 'verify', 'Read every byte that the versions of a store need, and say what is damaged.').action(
    async (where: string, options: StoreOptions) => {
      const place = await placeOf(context, where, options)
      const { name } = place
      const report = await withProgress(context, (onProgress) => verifyStore(place, { onProgress }))
      await context.out.line(options.json ? plainJson(report) : textOf(context, report))
      if (report.ok) return
      const { length } = report.damages
      throw new TidemarkError(
        'CORRUPT',
        `Store "${name}" has ${length === 1 ? 'a damaged object' : `${count(length)} damages`}; restore what is listed from a backup.`,
      )
    },
  )
}

function textOf(context: Context, report: VerifyReport): string {
  const { name, version, head, oldest, tags, forks, entries, segments, bytes, orphans, damages } = report
  const { paint, width } = context
  const pairs: [string, string][] = [
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
  const text = factList(
    context,
    pairs.map(([what, value]) => [what, harmless(value)]),
    9,
  )
  // The path is never broken, so that it can be copied.
  const each = damages.map(({ object, code, message }) =>
    [
      harmless(object),
      ...wrap(harmless(`${code}: ${inFlags(message)}`), width - 2).map((line) => `  ${paint('red', line)}`),
    ].join('\n'),
  )
  return [text, ...(orphans.count === 0 ? [] : [wrap(ORPHANS, width).join('\n')]), ...each].join('\n\n')
}

const ORPHANS =
  'Orphans are no damage, and nobody has to see to them: `tidemark maintain` does, and so does a program that goes on committing. ' +
  'What an upload left behind is condemned at the next look and deleted at the first one after a grace period (an hour, unless the program says otherwise).'
