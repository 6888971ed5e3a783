import { createInterface } from 'node:readline/promises'
import { TidemarkError, invalid } from '../../errors.js'
import { destroyStore } from '../../tools/destroy.js'
import { listStores } from '../../tools/stores.js'
import { severalStores } from '../choose.js'
import { placeOptions, storeCommand, type AddCommand, type Context, type StoreOptions } from '../context.js'
import { plainJson } from '../json.js'
import type { Storage } from '../../storage/contract.js'

interface Options extends StoreOptions {
  readonly yes?: true
  readonly force?: true
}

export const destroy: AddCommand = (program, context) => {
  storeCommand(program, 'destroy', 'Remove a store and all its versions, for good.')
    .option('--yes', 'do it without asking')
    .option('--force', 'also a store that is damaged or was written by a newer release')
    .action(async (where: string, options: Options) => {
      const storage = await context.open(where, placeOptions(options))
      const name = options.store ?? (await onlyOne(storage, where))
      await confirm(context, name, where, options)
      await destroyStore({ storage, name }, { force: options.force })
      await context.out.line(options.json ? plainJson({ store: name }) : `Store "${name}" is gone.`)
    })
}

/** The only store of a place. Destroying chooses none by its age. */
async function onlyOne(storage: Storage, where: string): Promise<string> {
  const [only, ...others] = await listStores(storage)
  if (only === undefined) throw new TidemarkError('NOT_FOUND', `There is no store in ${where}; check the path.`)
  if (others.length > 0) throw severalStores(where, [only, ...others])
  return only.name
}

async function confirm({ stdin, terminal }: Context, name: string, where: string, { yes }: Options): Promise<void> {
  if (yes) return
  if (!terminal || !stdin.isTTY) throw invalid(`Store "${name}" would be removed for good; add --yes to do it.`)
  const asking = createInterface({ input: stdin, output: terminal })
  // Ctrl-C and Ctrl-D mean no.
  const closed = new Promise<string>((resolve) => asking.once('close', () => resolve('')))
  const question = asking.question(
    `This removes store "${name}" in ${where} with all its versions, for good.\nType its name to do it: `,
  )
  const answer = await Promise.race([question, closed])
  asking.close()
  if (answer.trim() !== name) throw new TidemarkError('ABORTED', 'The name was not typed; nothing was removed.')
}
