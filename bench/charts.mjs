/** Bars of ratios as SVG, light and dark: how many times as good Tidemark is as each peer, on a logarithmic scale. */
import { show } from './report.mjs'

const WIDTH = 760
const LABEL = 240
const BAR = 16
const GROUP_GAP = 14
const TITLE = 34

/**
 * @param {string} title
 * @param {{ name: string, peers: { peer: string, ratio?: number }[] }[]} groups each figure with the peers that have a ratio
 */
export function ratioChart(title, groups) {
  const shown = groups
    .map(({ name, peers }) => ({
      name,
      peers: peers.filter(({ peer, ratio }) => peer !== 'tidemark' && ratio !== undefined),
    }))
    .filter(({ peers }) => peers.length > 0)
  const all = shown.flatMap(({ peers }) => peers.map(({ ratio }) => ratio))
  const [low, high] = [Math.log10(Math.min(0.5, ...all)) - 0.1, Math.log10(Math.max(2, ...all)) + 0.3]
  const x = (ratio) => LABEL + ((Math.log10(ratio) - low) / (high - low)) * (WIDTH - LABEL - 20)
  const lines = []
  let y = TITLE
  for (const { name, peers } of shown) {
    lines.push(`<text class="figure" x="8" y="${y + 12}">${escaped(name)}</text>`)
    y += BAR + 4
    for (const { peer, ratio } of peers) {
      const [from, to] = [Math.min(x(1), x(ratio)), Math.max(x(1), x(ratio))]
      lines.push(
        `<text class="peer" x="${LABEL - 8}" y="${y + 12}" text-anchor="end">${escaped(peer)}</text>`,
        `<rect class="${ratio >= 1 ? 'ahead' : 'behind'}" x="${from.toFixed(1)}" y="${y}" width="${Math.max(1, to - from).toFixed(1)}" height="${BAR - 4}" rx="2"/>`,
        `<text class="value" x="${(Math.max(to, x(1)) + 5).toFixed(1)}" y="${y + 10}">${show(ratio)}×</text>`,
      )
      y += BAR
    }
    y += GROUP_GAP
  }
  const height = y
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
<style>
  text { font: 12px system-ui, sans-serif; fill: #1f2937 }
  .title { font-size: 14px; font-weight: 600 } .figure { font-weight: 600 } .peer, .value { fill: #4b5563 }
  .ahead { fill: #0f766e } .behind { fill: #b45309 } .even { stroke: #9ca3af; stroke-dasharray: 3 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e5e7eb } .peer, .value { fill: #9ca3af } .ahead { fill: #2dd4bf } .behind { fill: #f59e0b }
  }
</style>
<text class="title" x="8" y="18">${escaped(title)}</text>
<line class="even" x1="${x(1).toFixed(1)}" x2="${x(1).toFixed(1)}" y1="${TITLE - 6}" y2="${height - 8}"/>
${lines.join('\n')}
</svg>
`
}

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
