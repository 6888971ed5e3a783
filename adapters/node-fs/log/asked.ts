/** What a caller asks the owner of a log to write. */
import { invalid } from '../../../src/errors.js'
import { LARGEST_PAYLOAD } from './format.js'

export interface Asked {
  readonly n: number
  readonly bytes: Uint8Array
  /** The lowest entry that recovery needs; n itself where nothing before it is needed. */
  readonly from: number
  /** Whether the entry may take the room that is kept for entries that make room. */
  readonly makesRoom: boolean
}

export function checkEntry({ n, bytes }: Asked): void {
  if (!Number.isSafeInteger(n) || n < 1) throw invalid(`${n} is not the number of an entry.`)
  if (bytes.length > LARGEST_PAYLOAD) throw invalid(`An entry of ${bytes.length} bytes is too large for a log file.`)
}
