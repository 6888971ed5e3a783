/** Reads tables as they were stored, whatever their codec. */
import type { Command } from 'commander'
import type { Key } from '../bytes/keys.js'
import { TidemarkError } from '../errors.js'
import { tableBytes } from '../engine/slot.js'
import { recordedCodec, type ShardState } from '../engine/state.js'
import type { When } from '../store/find.js'
import { findIn } from '../store/old-versions.js'
import { Snapshot } from '../store/snapshot.js'
import { handleOf } from '../store/handles.js'
import type { Store } from '../store/store.js'
import type { Table } from '../store/table.js'
import { storedBytes } from '../store/table-spec.js'
import { storedDecoder, tablesOf } from '../tools/stored.js'
import { wholeNumber } from './context.js'
import { keyOfJson } from './json.js'
import type { AtOption } from './when.js'

export interface TableOptions {
  readonly table?: string
  readonly partition?: number
}

export function tableOptions(command: Command): Command {
  return command
    .option('--table <name>', 'which table; the default one when left out')
    .option('--partition <number>', 'this partition only', wholeNumber)
}

export interface KeyOptions {
  readonly jsonKey?: string
}

export function keyOption(command: Command): Command {
  return command
    .argument('[key]', 'the key, when it is a string')
    .option('--json-key <key>', 'the key as JSON: 5, ["a",1], {"$bigint":"5"}, {"$bytes":"AQI="}')
}

/** The one key that was given, as text or as JSON. */
export function keyOf(command: Command, text: string | undefined, { jsonKey }: KeyOptions): Key {
  if ((text === undefined) === (jsonKey === undefined)) command.error('error: give one key, as text or with --json-key')
  return jsonKey === undefined ? text! : keyOfJson(jsonKey)
}

export function placeOfKey(store: string, { table, partition }: TableOptions): string {
  const inTable = table ? `table "${table}" of ` : ''
  return `${partition === undefined ? '' : `partition ${partition} of `}${inTable}store "${store}"`
}

export interface StoredTable {
  readonly table: Table<Key, Uint8Array>
  /** Decodes a value of the default codec. Of another codec it gives the bytes. */
  readonly decode: (bytes: Uint8Array) => unknown
}

/** The state of a store that a command shows: the newest one, or an old one. */
export interface Shown {
  readonly place: Store | Snapshot
  readonly state: ShardState
}

export async function show(store: Store, at: When | undefined): Promise<Shown> {
  const handle = handleOf(store)
  if (at === undefined) return { place: store, state: handle.state }
  const { state } = await findIn(handle, at)
  return { place: new Snapshot(handle, handle.spec('', {}), state), state }
}

export async function openTable(
  store: Store,
  { table: name = '', partition, at }: TableOptions & AtOption,
): Promise<StoredTable> {
  const { place, state } = await show(store, at)
  const decode = decoderOf(store.name, name, [state])
  const part = partition === undefined ? place : place.partition(partition)
  return { table: part.table<Key, Uint8Array>(name, { codec: storedBytes }), decode }
}

/** The decoder for values of a table, which has to be in one of the states. */
export function decoderOf(store: string, name: string, states: readonly ShardState[]): StoredTable['decode'] {
  const codec = states.map((state) => recordedCodec(state, tableBytes(name))).find((id) => id !== undefined)
  if (codec === undefined && name !== '') {
    const names = tablesOf(states.at(-1)!).map((table) => (table.name === '' ? 'the default one' : `"${table.name}"`))
    throw new TidemarkError(
      'NOT_FOUND',
      `Store "${store}" has no table "${name}"; it has ${names.join(', ') || 'none at all'}.`,
    )
  }
  return storedDecoder(codec)
}
