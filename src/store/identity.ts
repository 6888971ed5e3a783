/** Whether what storage holds is the store that was asked for. */
import { TidemarkError, invalid } from '../errors.js'
import { recordedCodec, type ShardState } from '../engine/state.js'
import type { ResolvedOptions } from './options.js'
import { TableSpec } from './table-spec.js'

export function checkIdentity(
  options: ResolvedOptions,
  state: ShardState | undefined,
  expectAtLeast: number | undefined,
): void {
  const { name, job, partitions, mode, force, table } = options
  const version = state?.carried.version ?? 0
  if (expectAtLeast !== undefined && version < expectAtLeast) {
    const found = state ? `is at version ${version}` : 'does not exist in this storage'
    throw new TidemarkError(
      'ROLLED_BACK',
      `Store "${name}" ${found}, but version ${expectAtLeast} was known: the storage was rolled back. Restore a backup, or open without expectAtLeast.`,
    )
  }
  if (state === undefined) return
  const { config } = state.manifest
  if (job !== undefined && config.job !== undefined && job !== config.job) {
    throw invalid(`Store "${name}" belongs to the job "${config.job}", not "${job}"; choose another name.`)
  }
  if (partitions !== undefined && partitions !== config.partitions) {
    throw invalid(`Store "${name}" has ${config.partitions} partitions, not ${partitions}; that is fixed.`)
  }
  if (mode !== 'follower' && state.carried.mode !== mode && !force) {
    throw new TidemarkError(
      'CONFLICT',
      `Store "${name}" is written in ${state.carried.mode} mode; open it in that mode, or with force: true when no such writer lives.`,
      { retryable: false },
    )
  }
  new TableSpec('', new Uint8Array(0), table, { codec: recordedCodec(state, new Uint8Array(0)) }).assertCodec()
}
