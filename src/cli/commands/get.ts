import { TidemarkError } from '../../errors.js'
import { storeCommand, withStore, type AddCommand, type StoreOptions } from '../context.js'
import { taggedJson } from '../json.js'
import {
  keyOf,
  keyOption,
  openTable,
  placeOfKey,
  tableOptions,
  type KeyOptions,
  type TableOptions,
} from '../stored-table.js'
import { show } from '../../tools/show.js'
import { atOption, type AtOption } from '../when.js'

type GetOptions = StoreOptions & TableOptions & AtOption & KeyOptions

export const get: AddCommand = (program, context) => {
  const command = storeCommand(program, 'get', 'Print the value of a key.')
  keyOption(atOption(tableOptions(command))).action(
    async (where: string, text: string | undefined, options: GetOptions) => {
      const key = keyOf(command, text, options)
      await withStore(
        context,
        where,
        options,
        async (store) => {
          const { table, decode } = await openTable(store, options)
          const bytes = await table.get(key)
          if (bytes === undefined)
            throw new TidemarkError('NOT_FOUND', `There is no key ${show(key)} in ${placeOfKey(store.name, options)}.`)
          const value = decode(bytes)
          await context.out.line(options.json ? taggedJson(value) : show(value, true))
        },
        { shard: options.partition },
      )
    },
  )
}
