/**
 * Names and where they lie under the root:
 *
 *     blob    a/b/c             <root>/a/b/c
 *     log     <path>            <root>/<path>/@log/…
 *     anchor  <path>            <root>/<path>@<generation>
 *     while being written       <root>/<folder>/@<random>
 *
 * A segment of a blob's name, of a log's path and of an anchor's path has no `@`, so that nothing which the adapter keeps
 * for itself can meet a name of its caller, and a listing tells them apart by the name alone.
 */
import { toHex } from '../../src/bytes/hex.js'
import type { Clock } from '../../src/clock.js'
import { invalid } from '../../src/errors.js'

export const OWN = '@'
export const LOG_FOLDER = '@log'

const PATH = /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/
const SEGMENT = /^[A-Za-z0-9._-]+$/
/** Names that Windows changes or takes for devices: with a dot at the end, or such as `con`, with or without an extension. */
const REFUSED = /\.(?:\/|$)|(?:^|\/)(?:con|nul|aux|prn|(?:com|lpt)[1-9])(?:[./]|$)/i

/** Refuses a name unless it is a path of segments `[A-Za-z0-9._-]+`, each of which can be a file on all systems. */
export function checkName(what: string, name: string): void {
  if (typeof name !== 'string' || !PATH.test(name) || REFUSED.test(name)) {
    throw invalid(
      `${what} ${JSON.stringify(name)} is not a name: segments of A-Z, a-z, 0-9, '.', '_' and '-', separated by '/', no dot at the end of one, and none that Windows reserves (con, nul, com1).`,
    )
  }
}

export function isSegment(name: string): boolean {
  return SEGMENT.test(name)
}

/** The folder of a name, which is '' at the root, and the last segment. */
export function split(name: string): [folder: string, last: string] {
  const slash = name.lastIndexOf('/')
  return slash < 0 ? ['', name] : [name.slice(0, slash), name.slice(slash + 1)]
}

/** A number in a name. It has a fixed width, so that the order of names is the order of numbers. */
export function digits(n: number, width = 16): string {
  return String(n).padStart(width, '0')
}

/** A name that nobody else makes and no listing shows. */
export function temporaryName(clock: Clock): string {
  return `${OWN}${toHex(clock.random(8))}`
}
