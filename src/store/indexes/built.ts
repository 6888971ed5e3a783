/** What comes of building the indexes of a table. */
import type { TidemarkError } from '../../errors.js'
import type { TableSpec } from '../table-spec.js'

/** An index that cannot be built of the rows that are there. */
export class Unbuildable extends Error {
  constructor(
    readonly spec: TableSpec,
    readonly reason: TidemarkError,
  ) {
    super(reason.message)
  }
}

/** Rows that were indexed, of a table in a partition; `repeated` tells of two that have the same key of a unique index. */
export interface Built {
  readonly spec: TableSpec
  readonly rows: number
  readonly isDone: boolean
  readonly repeated: TidemarkError | undefined
}
