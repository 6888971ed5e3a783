/** How much of what takes long is run: `npm test` takes a part, `npm run test:deep` sets TIDEMARK_WHOLE and takes all. */
import type { Way } from 'tidemark/testing'
import { inTurn } from './thin.js'

export const WHOLE = process.env['TIDEMARK_WHOLE'] === '1'

export const extent = (whole: number, part: number): number => (WHOLE ? whole : part)

/** For `only` of `cuts`: each call in one of the ways, in turn, or one call in so many. */
export const thinned = (ways: readonly Way[], oneIn = 1): ReturnType<typeof inTurn> | undefined =>
  WHOLE ? undefined : inTurn({ writes: oneIn, reads: oneIn }, ways)
