import { SingleBar } from 'cli-progress'
import { TidemarkError } from '../../errors.js'
import type { VerifyOptions } from '../../tools/findings.js'
import { verify as verifyStore, type VerifyReport } from '../../tools/verify.js'
import { storeCommand, type AddCommand, type Context, type StoreOptions } from '../context.js'
import { grid, left } from '../grid.js'
import { plainJson } from '../json.js'
import { count, harmless, size } from '../text.js'
import { onlyStore } from '../where.js'

export const verify: AddCommand = (program, context) => {
  storeCommand(program, 'verify', 'Read every byte that the versions of a store need, and say what is damaged.').action(
    async (where: string, options: StoreOptions) => {
      const storage = await context.open(where)
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

/** Work that is over sooner needs no bar. */
const LONG_MS = 300

/** A bar on the terminal when it takes long; nothing where nobody looks. */
async function withProgress<T>(
  { terminal, clock }: Context,
  act: (onProgress: VerifyOptions['onProgress']) => Promise<T>,
): Promise<T> {
  if (terminal === undefined) return act(undefined)
  const bar = new SingleBar({
    stream: terminal,
    format: '{bar} {value} of {total} objects, {read}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 20,
    clearOnComplete: true,
    // It would take the signals for itself, and Ctrl-C would end the bar and not the program: nothing is to be undone then.
    gracefulExit: false,
    hideCursor: false,
    linewrap: true,
  })
  const began = clock.monotonic()
  let shown = false
  try {
    return await act(({ objects, bytes, of }) => {
      if (!shown && clock.monotonic() - began < LONG_MS) return
      const read = size(bytes)
      if (!shown) bar.start(of, objects, { read })
      shown = true
      bar.setTotal(of)
      bar.update(objects, { read })
    })
  } finally {
    bar.stop()
  }
}

function textOf(report: VerifyReport): string {
  const { name, version, head, entries, segments, bytes, orphans, damages } = report
  const facts = [
    ['store', name],
    ['version', `${version}, the newest entry is ${head}`],
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
