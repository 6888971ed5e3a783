/// <reference lib="dom" />
/** The pictures: versions in their order, and the parts of which a store consists. */
import { count, size, time } from '../tools/text.js'
import { figure, h, svg } from './dom.js'
import type { InspectorEntry, InspectorFacts, InspectorSegment, InspectorVersion } from './source.js'

const HEIGHT = 100
const STEP = 10
/** Of the longest run of segments. */
const LENGTH = 360
/** More than so many are not drawn: they would be too small to see. */
const MOST_LANES = 64
const MOST_ENTRIES = 200

/** The kinds of versions, in words. */
export const KINDS = { entry: 'commit', folded: 'with a fold into segments', reset: 'restored', tagged: 'tagged' }
export type VersionKind = keyof typeof KINDS

export function kindOf({ tags, kind, folded }: InspectorVersion): VersionKind {
  if (tags.length > 0) return 'tagged'
  return kind === 'reset' ? 'reset' : folded ? 'folded' : 'entry'
}

/** A bar for each version; `choose` is called with the place of the one that is clicked. Two of them are marked. */
export function timeline(
  versions: readonly InspectorVersion[],
  marked: readonly number[],
  choose: (at: number) => void,
): SVGElement {
  const bars = versions.map((version, at) => {
    const kind = kindOf(version)
    return bar(at, version.bytes, marked.includes(at) ? `${kind} chosen` : kind, describe(version))
  })
  const drawing = row('timeline', versions.length, bars)
  drawing.addEventListener('click', ({ clientX }) => {
    const { left, width } = drawing.getBoundingClientRect()
    const at = Math.floor(((clientX - left) / width) * versions.length)
    choose(Math.max(0, Math.min(versions.length - 1, at)))
  })
  return drawing
}

/** A version in one line. */
export function describe({ version, time: at, kind, label, tags, bytes }: InspectorVersion): string {
  const named = [kind === 'commit' ? '' : kind, label ?? '', tags.map((tag) => `tag ${tag}`).join(', ')]
  return [`Version ${version}`, time(at), size(bytes), ...named.filter((text) => text !== '')].join(', ')
}

/** Partitions, log and segments side by side. */
export function parts(
  facts: InspectorFacts,
  counts: readonly number[] | undefined,
  said: string,
  ask: readonly HTMLElement[],
): HTMLElement[] {
  const { tail, runs } = facts
  const all = runs.flat()
  const inTail = `${many(tail.length, 'entry is', 'entries are')} in no segment yet, ${size(bytesOf(tail))}`
  const inRuns = `${many(all.length, 'segment', 'segments')} in ${many(runs.length, 'run', 'runs')}, ${size(bytesOf(all))}; the newest run is above`
  return [
    figure(many(facts.partitions, 'partition', 'partitions'), said, partitions(facts, counts), ...ask),
    figure('The log', tail.length === 0 ? 'all of it is in segments' : inTail, log(tail)),
    figure('Segments', all.length === 0 ? 'none yet' : inRuns, segments(runs)),
  ]
}

function partitions({ partitions: number }: InspectorFacts, counts: readonly number[] | undefined): HTMLElement {
  const drawn = Math.min(number, MOST_LANES)
  const most = Math.max(1, ...(counts ?? []))
  const lanes = Array.from({ length: drawn }, (_, i) => {
    const keys = counts?.[i]
    const filled = svg('rect', { class: 'keys', width: ((keys ?? 0) / most) * 100, height: 10 })
    const lane = svg('rect', { class: 'lane', width: 100, height: 10 })
    const told = keys === undefined ? `partition ${i}` : many(keys, 'key', 'keys')
    return h('li', {}, picture('bar', [100, 10], [lane, filled]), h('span', {}, told))
  })
  const rest = number - drawn
  const more = rest > 0 ? [h('li', {}, `and ${many(rest, 'partition', 'partitions')} more`)] : []
  return h('ol', { class: 'lanes' }, ...lanes, ...more)
}

/** The entries that are in no segment yet, the newest at the right. */
function log(tail: readonly InspectorEntry[]): SVGElement {
  const drawn = tail.slice(-MOST_ENTRIES)
  const bars = drawn.map(({ entry, bytes }, at) => bar(at, bytes, 'entry', `Entry ${entry}, ${size(bytes)}`))
  return row('log', Math.max(16, drawn.length), bars)
}

/** A line for each run, the newest above. The width of a segment is its share of the largest run. */
function segments(runs: readonly (readonly InspectorSegment[])[]): SVGElement {
  const most = Math.max(1, ...runs.map(bytesOf))
  const drawn = runs.flatMap((run, line) => {
    let x = 0
    return run.map((segment) => {
      const width = (segment.bytes / most) * LENGTH
      const rect = {
        class: 'segment',
        x,
        y: line * 14 + 2,
        width: Math.max(1, width - Math.min(2, width / 4)),
        height: 10,
      }
      x += width
      return svg('rect', rect, svg('title', {}, describeSegment(segment)))
    })
  })
  return picture('segments', [LENGTH, Math.max(1, runs.length) * 14], drawn)
}

function describeSegment({ bytes, records, partitions: [first, last] }: InspectorSegment): string {
  const where = first === last ? `partition ${first}` : `partitions ${first} to ${last}`
  return `${size(bytes)}, ${many(records, 'record', 'records')}, ${where}`
}

function bytesOf(parts: readonly { readonly bytes: number }[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0)
}

export function many(number: number, one: string, more: string): string {
  return `${count(number)} ${number === 1 ? one : more}`
}

/** As high as the logarithm of its bytes, so that small ones show beside large ones. */
function bar(at: number, bytes: number, kind: string, title: string): SVGElement {
  const height = Math.min(HEIGHT - 4, 12 + 4 * Math.log2(1 + bytes))
  const place = { x: at * STEP + 1, y: HEIGHT - height, width: STEP - 2, height }
  return svg('rect', { class: kind, ...place }, svg('title', {}, title))
}

function row(kind: string, length: number, bars: readonly SVGElement[]): SVGElement {
  return picture(kind, [Math.max(1, length) * STEP, HEIGHT], bars)
}

/** All that a picture says is said in words beside it. */
function picture(kind: string, [width, height]: readonly [number, number], parts: readonly SVGElement[]): SVGElement {
  const attributes = { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }
  return svg('svg', { class: kind, ...attributes }, ...parts)
}
