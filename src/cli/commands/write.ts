/** The commands put and delete, of a single key. */
import { text as textOfStream } from 'node:stream/consumers'
import { jsonCodec, type Codec } from '../../bytes/codec.js'
import type { Key } from '../../bytes/keys.js'
import { utf8 } from '../../bytes/utf8.js'
import { TidemarkError, invalid } from '../../errors.js'
import { tableBytes } from '../../engine/slot.js'
import { splitId } from '../../manifest/codec-id.js'
import { recordedCodec } from '../../engine/state.js'
import { handleOf } from '../../store/handles.js'
import { partitionOf } from '../../store/reads.js'
import type { Store } from '../../store/store.js'
import { storedBytes } from '../../store/table-spec.js'
import type { Table } from '../../store/table.js'
import { shardsIn, withWriter, writerCommand, type AddCommand, type Context, type StoreOptions } from '../context.js'
import { plainJson } from '../json.js'
import { keyOption, keyOf, placeOfKey, tableOptions, type KeyOptions, type TableOptions } from '../stored-table.js'
import { show } from '../../tools/show.js'
import { spanOf } from '../when.js'

interface PutOptions extends StoreOptions, TableOptions, KeyOptions {
  readonly text?: true
  readonly ttl?: number
}

export const put: AddCommand = (program, context) => {
  const command = writerCommand(program, 'put', 'Write the value of a key, as a version of its own.')
  keyOption(tableOptions(command))
    .argument(
      '[value]',
      'the value as JSON, in quotes for the shell: 5, \'"text"\', \'{"total":12}\'; - reads it from stdin',
    )
    .option('--text', 'the value is not JSON but a string, as it stands')
    .option('--ttl <time>', 'how long it lives: 30s, 15m, 12h, 7d; for ever when left out', spanOf)
    .action(async (where: string, first: string | undefined, second: string | undefined, options: PutOptions) => {
      // With --json-key the only argument is the value.
      const [text, given] = options.jsonKey !== undefined && second === undefined ? [undefined, first] : [first, second]
      const key = keyOf(command, text, options)
      if (given === undefined) command.error('error: give the value, as JSON or with --text')
      if (options.ttl === 0) throw invalid('--ttl: a span of time above 0 is expected.')
      const value = valueOf(given === '-' ? await textOfStream(context.stdin) : given!, options)
      await write(context, where, options, key, 'Written', (table) => {
        table.put(key, value, options.ttl === undefined ? {} : { ttlMs: options.ttl })
      })
    })
}

export const remove: AddCommand = (program, context) => {
  const command = writerCommand(program, 'delete', 'Delete a key, as a version of its own.')
  keyOption(tableOptions(command)).action(
    async (where: string, text: string | undefined, options: StoreOptions & TableOptions & KeyOptions) => {
      const key = keyOf(command, text, options)
      await write(context, where, options, key, 'Deleted', async (table, store) => {
        if (!(await table.has(key))) {
          const place = placeOfKey(store.name, options)
          throw new TidemarkError('NOT_FOUND', `There is no key ${show(key)} in ${place}; nothing was deleted.`)
        }
        table.delete(key)
      })
    },
  )
}

/** Decodes JSON as the default codec does. Its tags count, such as {"$date":0}. */
function valueOf(text: string, { text: isText }: PutOptions): unknown {
  if (isText) return text
  let json: string
  try {
    json = JSON.stringify(JSON.parse(text))
  } catch (cause) {
    throw invalid(
      `The value is not JSON. Write text as '"text"', in quotes for the shell too, or give it as it stands with --text.`,
      cause,
    )
  }
  try {
    return jsonCodec.decode(utf8(json))
  } catch (cause) {
    throw invalid(
      'The value has an unknown tag. A single field whose name begins with $ is a tag, such as {"$date":0}. {"$object":{…}} keeps such an object as it stands.',
      cause,
    )
  }
}

async function write(
  context: Context,
  where: string,
  options: StoreOptions & TableOptions,
  key: Key,
  done: 'Written' | 'Deleted',
  change: (table: Table<Key, unknown>, store: Store) => void | Promise<void>,
): Promise<void> {
  const { table: name = '', partition, json } = options
  const act = async (store: Store): Promise<void> => {
    const recorded = recordedCodec(handleOf(store).state, tableBytes(name))
    const { codec: id, version } = splitId(recorded ?? jsonCodec.id)
    const codec = writingCodec(id, done === 'Written')
    // Values of earlier versions are nobody's business here.
    const upgrade = (value: unknown): unknown => value
    const part = partition === undefined ? store : store.partition(partition)
    await change(part.table<Key, unknown>(name, { codec, version, upgrade }), store)
    const committed = await store.commit()
    const text = `${done} as version ${committed.version} of store "${store.name}".`
    await context.out.line(json ? plainJson({ store: store.name, version: committed.version }) : text)
  }
  if (partition !== undefined) return withWriter(context, where, options, act, { shard: partition })
  const { name: store, shards } = await shardsIn(context, where, options)
  // Of several shards it is the one that has the key.
  const shard = shards && partitionOf(key, shards.at(-1)!.last + 1)
  await withWriter(context, where, { ...options, store }, act, { shard })
}

/** The codec to write with. A table of another codec can only lose keys here, and keeps its codec. */
function writingCodec(id: string, isPut: boolean): Codec<unknown> {
  if (id === jsonCodec.id) return jsonCodec
  if (isPut) throw invalid(`The table has the codec "${id}", and only a program that has this codec can write values.`)
  return { ...storedBytes, id }
}
