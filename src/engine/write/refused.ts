import { TidemarkError } from '../../errors.js'
import type { Job } from './requests.js'

/** A commit that an index refuses. */
export class Refused {
  constructor(
    readonly job: Job,
    readonly error: TidemarkError,
  ) {}
}

/** The error of a transaction that has read what an index has refused: it is run again. */
export const behind = (store: string): TidemarkError =>
  new TidemarkError('CONFLICT', `A commit of store "${store}" before this one was refused; run the transaction again.`)
