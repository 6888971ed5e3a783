/** Fewer cuts where each call takes its time: every call is still met, but not in every way. */
import type { Point, Way } from 'tidemark/testing'

export interface Share {
  /** One in so many of the calls that write is cut. */
  readonly writes: number
  /** One in so many of the calls that only read is cut. */
  readonly reads: number
}

const READS: ReadonlySet<string> = new Set(['get', 'read', 'list', 'logs', 'close', 'sync'])

/** For `only` of `cuts`: each call that is chosen is cut in one of the ways, in turn. */
export function inTurn(share: Share, ways: readonly Way[]): (point: Point, way: Way) => boolean {
  const chosen = new Map<number, Way | undefined>()
  const seen = { reads: 0, writes: 0 }
  return (point, way) => {
    if (!chosen.has(point.index)) {
      const kind = READS.has(point.method) ? 'reads' : 'writes'
      const turn = seen[kind]++ / share[kind]
      chosen.set(point.index, Number.isInteger(turn) ? ways[turn % ways.length] : undefined)
    }
    return chosen.get(point.index) === way
  }
}
