/** What a commit writes, beside what there is. */
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { bytes, n, plural } from './format.js'
import { job } from './job.js'
import { Key } from './key.jsx'
import { useSignal } from './signal.js'

const HEIGHT = 200

export function Chart({ view }) {
  const { written, p50 } = useSignal(job)
  // A restore, and a commit of nothing but a label, write no values.
  const last = view.versions.findLast((version) => version.bytes > 0)
  return (
    <section aria-labelledby="chart">
      <h2 id="chart">A commit costs what it changes, not what there is</h2>
      <dl class="figures">
        <div class="figure">
          <dt>last commit</dt>
          <dd data-figure="last commit">{bytes(last?.bytes ?? 0)}</dd>
        </div>
        <div class="figure">
          <dt>the whole state</dt>
          <dd data-figure="state">{bytes(view.size)}</dd>
        </div>
        <div class="figure">
          <dt>half of the commits took less than</dt>
          <dd>{written.commits > 0 ? `${p50.toFixed(1)} ms` : '–'}</dd>
        </div>
      </dl>
      <Plot view={view} />
      <p class="legend">
        <Key kind="used">all keys and values as JSON, since this page was loaded</Key>{' '}
        <Key kind="fresh">written by each commit</Key>
      </p>
      <p class="small">
        The workers of this page have made <span data-figure="commits">{plural(written.commits, 'commit')}</span>,{' '}
        {plural(written.folds, 'fold')} and {plural(written.compactions, 'merge')}. They wrote {bytes(written.log)} of
        log, and {bytes(written.all)} in all.
      </p>
    </section>
  )
}

function Plot({ view }) {
  const place = useRef()
  const plot = useRef()
  const data = useRef([[], [], []])
  useEffect(() => {
    const make = () => {
      plot.current?.destroy()
      plot.current = new uPlot(optionsFor(place.current), data.current, place.current)
    }
    make()
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', make)
    const resized = new ResizeObserver(([{ contentRect }]) =>
      plot.current.setSize({ width: contentRect.width, height: HEIGHT }),
    )
    resized.observe(place.current)
    return () => {
      scheme.removeEventListener('change', make)
      resized.disconnect()
      plot.current.destroy()
    }
  }, [])
  useEffect(() => {
    const numbers = view.versions.map(({ version }) => version)
    data.current = [
      numbers,
      numbers.map((version) => view.sizes.get(version) ?? null),
      view.versions.map((version) => version.bytes),
    ]
    plot.current.setData(data.current)
  }, [view])
  return <div class="plot" ref={place} aria-hidden="true" />
}

function optionsFor(element) {
  const style = getComputedStyle(element)
  const colour = (name) => style.getPropertyValue(name).trim()
  const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } }
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false }, y: { range: (_, __, most) => [0, Math.max(1000, most * 1.1)] } },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? n(tick) : '')) },
      { ...axis, size: 60, values: (_, ticks) => ticks.map(bytes) },
    ],
    series: [
      {},
      { stroke: colour('--deep'), width: 2, fill: colour('--deep-pale'), spanGaps: true, points: { show: false } },
      {
        stroke: colour('--fresh'),
        fill: colour('--fresh'),
        width: 0,
        paths: uPlot.paths.bars({ size: [0.7, 12] }),
        points: { show: false },
      },
    ],
  }
}
