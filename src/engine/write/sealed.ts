/** The error of a writer whose log has ended (S1). */
import { TidemarkError } from '../../errors.js'

export function sealed(store: string): TidemarkError {
  return new TidemarkError(
    'FENCED',
    `Store "${store}" was split or merged, and the shard of this handle has ended. Its changes are kept; call reopen() to go on in what follows on it.`,
  )
}
