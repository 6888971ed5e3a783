import { TidemarkError } from '../../errors.js'
import { storeCommand, withStore, type AddCommand, type StoreOptions } from '../context.js'
import { keyOfJson, taggedJson } from '../json.js'
import { openTable, tableOptions, type TableOptions } from '../stored-table.js'
import { show } from '../text.js'
import { atOption, type AtOption } from '../when.js'

interface GetOptions extends StoreOptions, TableOptions, AtOption {
  readonly jsonKey?: string
}

export const get: AddCommand = (program, context) => {
  const command = storeCommand(program, 'get', 'Print the value of a key.')
  atOption(tableOptions(command))
    .argument('[key]', 'the key, when it is a string')
    .option('--json-key <key>', 'the key as JSON: 5, ["a",1], {"$bigint":"5"}, {"$bytes":"AQI="}')
    .action(async (where: string, text: string | undefined, options: GetOptions) => {
      const { jsonKey, json } = options
      if ((text === undefined) === (jsonKey === undefined))
        command.error('error: give one key, as text or with --json-key')
      const key = jsonKey === undefined ? text! : keyOfJson(jsonKey)
      await withStore(context, where, options, async (store) => {
        const { table, decode } = await openTable(store, options)
        const bytes = await table.get(key)
        if (bytes === undefined)
          throw new TidemarkError('NOT_FOUND', `There is no key ${show(key)} in ${place(store.name, options)}.`)
        const value = decode(bytes)
        await context.out.line(json ? taggedJson(value) : show(value, true))
      })
    })
}

function place(store: string, { table, partition }: TableOptions): string {
  const inTable = table ? `table "${table}" of ` : ''
  return `${partition === undefined ? '' : `partition ${partition} of `}${inTable}store "${store}"`
}
