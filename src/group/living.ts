/** Whether a shard that may have killed its owners does no harm (G11). */
import type { Clock } from '../clock.js'
import { since } from './since.js'
import type { Tenure } from './tenure.js'

/** So many leases of life speak for a shard, while nothing of it is in hand. */
const LEASES = 2

export function isWell(tenure: Tenure, clock: Clock, leaseMs: number): boolean {
  if (tenure.stuckAt) return false
  if (tenure.hasCommitted) return true
  return !tenure.isInHand && since(clock, tenure.since) > LEASES * leaseMs
}
