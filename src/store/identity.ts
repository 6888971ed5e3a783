/** The errors for a store that is found and is not the one that was asked for. */
import { invalid, TidemarkError } from '../errors.js'
import { recordedCodec, type ShardState } from '../engine/state.js'
import type { AnyTableOptions } from './table-options.js'
import { TableSpec } from './table-spec.js'

/** The options that say which store is meant. */
interface Asked {
  readonly name: string
  readonly job?: string | undefined
  readonly partitions?: number | undefined
  /** Of the default table. */
  readonly table: AnyTableOptions
}

const DEFAULT_TABLE = new Uint8Array(0)

export function refuse(
  { name: store, job, partitions, table }: Asked,
  state: ShardState | undefined,
  expectAtLeast = 0,
): void {
  const version = state?.carried.version ?? 0
  if (version < expectAtLeast || state === undefined) {
    const found = state ? `is at version ${version}` : 'does not exist in this storage'
    throw new TidemarkError(
      'ROLLED_BACK',
      `Store "${store}" ${found}, but version ${expectAtLeast} was known: the storage was rolled back. Restore a backup, or open without expectAtLeast.`,
    )
  }
  const { config } = state.manifest
  if (job !== undefined && config.job !== undefined && job !== config.job) {
    throw invalid(`Store "${store}" belongs to the job "${config.job}", not "${job}"; choose another name.`)
  }
  if (partitions !== undefined && partitions !== config.partitions) {
    throw invalid(
      `Store "${store}" has ${config.partitions} partitions, not ${partitions}; that is fixed, so leave partitions out.`,
    )
  }
  const recorded = { codec: recordedCodec(state, DEFAULT_TABLE) }
  new TableSpec('', DEFAULT_TABLE, table, recorded, undefined).assertCodec()
}
