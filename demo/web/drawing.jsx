/** Partitions, log entries and segments, as they are in the storage at this moment. */
import { damaged } from './damage.js'
import { bytes, n, plural } from './format.js'
import { Key } from './key.jsx'
import { useSignal } from './signal.js'

const HEIGHT = 48

export function Drawing({ view }) {
  return (
    <section aria-labelledby="drawing">
      <h2 id="drawing">How it is stored</h2>
      <p>
        Each commit appends an entry to one log. Every 10 or so are folded into a sorted segment, and some 9 segments
        are merged into one.
      </p>
      <div class="drawing">
        <Partitions {...view} />
        <Log {...view} />
        <Segments {...view} />
      </div>
    </section>
  )
}

function Partitions({ partitions }) {
  const most = Math.max(1, ...partitions.map(({ flights }) => flights))
  return (
    <figure>
      <figcaption>
        <b>{partitions.length} partitions</b> flights by the airport that they leave from
      </figcaption>
      <ol class="partitions">
        {partitions.map(({ flights, airports }, i) => (
          <li key={i}>
            <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
              <rect class="track" width="100" height="10" />
              <rect class="fill" width={(100 * flights) / most} height="10" />
            </svg>
            <span>
              {n(flights)} <small>from {plural(airports.length, 'airport')}</small>
            </span>
          </li>
        ))}
      </ol>
    </figure>
  )
}

/** The newest entries, the last at the right. An entry is as high as its bytes are many. */
function Log({ newest, tail, metrics }) {
  const most = Math.max(1, ...newest.map((entry) => entry.bytes))
  const inTail = new Set(tail.map(({ version }) => version))
  return (
    <figure>
      <figcaption>
        <b>The log</b>{' '}
        {newest.length === 0
          ? 'no commit yet'
          : metrics.tail === 0
            ? 'all of it is in segments'
            : `${plural(metrics.tail, 'entry', 'entries')} not yet in segments`}
      </figcaption>
      <svg
        class="log"
        viewBox={`0 0 360 ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`The last ${plural(newest.length, 'entry', 'entries')} of the log; ${metrics.tail} not yet in segments`}
      >
        {newest.map((entry, i) => {
          const height = Math.max(3, (HEIGHT * entry.bytes) / most)
          const kind = inTail.has(entry.version) ? 'fresh' : entry.folded ? 'fold' : 'old'
          return (
            <rect
              key={entry.version}
              class={kind}
              x={(60 - newest.length + i) * 6}
              y={HEIGHT - height}
              width="4"
              height={height}
            />
          )
        })}
      </svg>
      <p class="legend">
        <Key kind="fresh">in the log alone</Key> <Key kind="fold">carries a fold</Key> <Key kind="old">folded</Key>
      </p>
    </figure>
  )
}

function Segments({ segments, metrics }) {
  const harmed = useSignal(damaged)
  const bad = segments.filter(({ name }) => harmed.has(name))
  const inUse = segments.filter((segment) => segment.isInUse)
  const kept = segments.filter((segment) => !segment.isInUse)
  const sum = (of) => of.reduce((total, { size }) => total + size, 0)
  return (
    <figure>
      <figcaption>
        <b>Segments</b>{' '}
        <span data-figure="segments in use" data-live={metrics.segments.live}>
          {inUse.length === 0 ? 'none yet' : `${n(inUse.length)} in use, ${bytes(sum(inUse))}`}
        </span>
        {kept.length > 0 && `; ${n(kept.length)} for older versions, ${bytes(sum(kept))}`}
        {bad.length > 0 && <span class="bad">; {n(bad.length)} damaged</span>}
      </figcaption>
      <Blocks segments={inUse} kind="used" label="Segments of the newest version" harmed={harmed} />
      <Blocks segments={kept} kind="kept" label="Segments of older versions" harmed={harmed} />
      <p class="legend">
        <Key kind="used">the newest version needs it</Key> <Key kind="kept">only older versions need it</Key>
        {bad.length > 0 && <Key kind="damaged">damaged</Key>}
      </p>
    </figure>
  )
}

/** Side by side; the area of a block is its share of the bytes. */
function Blocks({ segments, kind, label, harmed }) {
  if (segments.length === 0) return null
  const sum = segments.reduce((total, { size }) => total + size, 0)
  let x = 0
  return (
    <svg
      class={`blocks ${kind}`}
      viewBox="0 0 360 24"
      preserveAspectRatio="none"
      role="img"
      aria-label={`${label}: ${segments.length}`}
    >
      {segments.map(({ name, size }) => {
        const width = (360 * size) / sum
        const at = x
        x += width
        const looks = harmed.has(name) ? 'damaged' : kind
        return <rect key={name} class={looks} x={at} y="0" width={Math.max(1, width - 2)} height="24" />
      })}
    </svg>
  )
}
