/// <reference lib="dom" />
/** The pictures: versions in their order, and what a store consists of. */
import { h, svg } from './dom.js'
import type { InspectorFacts, InspectorVersion } from './source.js'
import { count, size, time } from './text.js'

const HEIGHT = 100
const STEP = 10

/** The kinds of versions, in words. */
export const KINDS = { entry: 'commit', folded: 'commit with a fold', tagged: 'tagged' }
export type VersionKind = keyof typeof KINDS

export function kindOf({ tags, folded }: InspectorVersion): VersionKind {
  return tags.length > 0 ? 'tagged' : folded ? 'folded' : 'entry'
}

/** A bar for each version, as high as the logarithm of its bytes; `choose` is called with the place of the one that is clicked. */
export function timeline(
  versions: readonly InspectorVersion[],
  chosen: number,
  choose: (at: number) => void,
): SVGElement {
  const bars = versions.map((version, at) => {
    const kind = kindOf(version)
    return bar(at, version.bytes, at === chosen ? `${kind} chosen` : kind, describe(version))
  })
  const drawing = svg(
    'svg',
    { viewBox: box(versions.length), preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    ...bars,
  )
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
  return [`Version ${version}`, `${time(at)} UTC`, size(bytes), ...named.filter((text) => text !== '')].join(', ')
}

/** The log's tail and the segments, and each partition with its keys where they were counted. */
export function parts(
  facts: InspectorFacts,
  versions: readonly InspectorVersion[],
  counts: readonly number[] | undefined,
): HTMLElement[] {
  const tail = facts.tail === 0 ? [] : versions.slice(-facts.tail)
  const sizes = facts.sizes ?? Array.from({ length: facts.segments }, () => 1)
  const total = facts.sizes?.reduce((sum, bytes) => sum + bytes, 0)
  return [
    figure(
      `${count(facts.tail, 'entry', 'entries')} in the tail of the log`,
      svg(
        'svg',
        { viewBox: box(Math.max(16, tail.length)), preserveAspectRatio: 'none', 'aria-hidden': 'true' },
        ...tail.map((version, at) => bar(at, version.bytes, 'entry', describe(version))),
      ),
    ),
    figure(
      `${count(facts.segments, 'segment', 'segments')}${total === undefined ? '' : `, ${size(total)}`}`,
      segments(sizes, facts.sizes !== undefined),
    ),
    figure(count(facts.partitions, 'partition', 'partitions'), lanes(facts.partitions, counts)),
  ]
}

function figure(caption: string, drawing: SVGElement): HTMLElement {
  return h('figure', {}, h('figcaption', {}, caption), drawing)
}

/** Segments side by side, each as wide as its share. */
function segments(sizes: readonly number[], areKnown: boolean): SVGElement {
  const total = sizes.reduce((sum, bytes) => sum + bytes, 0) || 1
  let x = 0
  const boxes = sizes.map((bytes) => {
    const width = (bytes / total) * 1000
    const gap = Math.min(2, width / 4)
    const rect = svg('rect', { class: 'segment', x: x + gap, y: 20, width: width - 2 * gap, height: 60 })
    if (areKnown) rect.append(svg('title', {}, size(bytes)))
    x += width
    return rect
  })
  return svg('svg', { viewBox: '0 0 1000 100', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, ...boxes)
}

function lanes(partitions: number, counts: readonly number[] | undefined): SVGElement {
  const most = Math.max(1, ...(counts ?? []))
  const rows = Array.from({ length: partitions }, (_, i) => {
    const keys = counts?.[i]
    const y = i * 14 + 2
    const title = keys === undefined ? `Partition ${i}` : `Partition ${i}: ${count(keys, 'key', 'keys')}`
    const filled = svg('rect', { class: 'keys', x: 0, y, width: ((keys ?? 0) / most) * 1000, height: 10 })
    return svg(
      'g',
      {},
      svg('title', {}, title),
      svg('rect', { class: 'lane', x: 0, y, width: 1000, height: 10 }),
      filled,
    )
  })
  const [label, role] = counts ? [`Keys of each partition: ${counts.join(', ')}`, 'img'] : [undefined, undefined]
  const attributes = { class: 'lanes', viewBox: `0 0 1000 ${partitions * 14}`, preserveAspectRatio: 'none' }
  return svg('svg', { ...attributes, role, 'aria-label': label, 'aria-hidden': counts ? undefined : 'true' }, ...rows)
}

function bar(at: number, bytes: number, kind: string, title: string): SVGElement {
  const height = Math.min(HEIGHT - 4, 12 + 5 * Math.log2(1 + bytes))
  const place = { x: at * STEP + 1, y: HEIGHT - height, width: STEP - 2, height }
  return svg('rect', { class: kind, ...place }, svg('title', {}, title))
}

function box(bars: number): string {
  return `0 0 ${Math.max(1, bars) * STEP} ${HEIGHT}`
}
