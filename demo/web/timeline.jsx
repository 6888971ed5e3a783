/** The versions: look at one, compare two, restore one, tag one. */
import { useEffect, useState } from 'preact/hooks'
import { Button } from './button.jsx'
import { clock, n } from './format.js'
import { compareVersions, restore, saidOf, tableOf, tag } from './past.js'
import { say } from './said.js'

export function Timeline({ view }) {
  const { versions, tags } = view
  const numbers = versions.map(({ version }) => version)
  const [chosen, setChosen] = useState()
  const [other, setOther] = useState()
  const [name, setName] = useState('my-tag')
  const then = nearest(numbers, chosen ?? numbers[0])
  const now = nearest(numbers, other ?? numbers.at(-1))
  if (then === undefined) {
    return (
      <section aria-labelledby="timeline">
        <h2 id="timeline">Go back to any moment</h2>
        <p>The first commit begins the timeline.</p>
      </section>
    )
  }
  const { time, label } = versions.find(({ version }) => version === then)
  return (
    <section aria-labelledby="timeline">
      <h2 id="timeline">Go back to any moment</h2>
      <p>The last 100 versions can be looked at, compared and put back. A tag keeps one for good.</p>
      <Slider label="Look at" versions={numbers} value={then} onChange={setChosen} />
      <Slider
        label="Beside it"
        versions={numbers}
        value={now}
        onChange={(version) => setOther(version === numbers.at(-1) ? undefined : version)}
      />
      <p class="small">
        Version {n(then)} was committed at {clock(time)}
        {label && `, as “${label}”`}.
      </p>
      <Table then={then} now={now} />
      <div class="buttons">
        <Button name="Compare" run={async () => saidOf(await compareVersions(then, now))}>
          Compare the two
        </Button>
        <Button
          name="Restore"
          kind="main"
          run={async () => {
            const sentence = await restore(then)
            setOther(undefined)
            return sentence
          }}
        >
          Restore version {n(then)}
        </Button>
        <form
          onSubmit={(event) => {
            event.preventDefault()
            event.currentTarget.querySelector('button').click()
          }}
        >
          <label>
            Name of a tag{' '}
            <input value={name} onInput={({ currentTarget }) => setName(currentTarget.value)} maxLength="64" />
          </label>
          <Button name="Tag" run={() => tag(name, then)}>
            Tag version {n(then)}
          </Button>
        </form>
      </div>
      {tags.length > 0 && (
        <ul class="tags" aria-label="Tags">
          {tags.map((each) => (
            <li key={each.name}>
              <button
                type="button"
                onClick={() => {
                  setChosen(each.version)
                  say(`“${each.name}” is version ${n(each.version)}: the page shows it.`)
                }}
              >
                {each.name} <small>version {n(each.version)}</small>
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

function Slider({ label, versions, value, onChange }) {
  return (
    <label class="slider">
      <span>
        {label} <b>version {n(value)}</b>
      </span>
      <input
        type="range"
        min="0"
        max={versions.length - 1}
        value={versions.indexOf(value)}
        aria-valuetext={`version ${value}`}
        onInput={({ currentTarget }) => onChange(versions[Number(currentTarget.value)])}
      />
    </label>
  )
}

function Table({ then, now }) {
  const [rows, setRows] = useState([])
  useEffect(() => {
    let isWanted = true
    tableOf(then, now).then(
      (found) => isWanted && setRows(found),
      // The version was collected, or the store closed, while it was read; the next look shows another.
      (error) => isWanted && error.code !== 'VERSION_EXPIRED' && error.code !== 'CLOSED' && say(error.message),
    )
    return () => (isWanted = false)
  }, [then, now])
  return (
    <table>
      <caption>The busiest airports in both</caption>
      <thead>
        <tr>
          <th scope="col">From</th>
          <th scope="col">Flights at {n(then)}</th>
          <th scope="col">Flights at {n(now)}</th>
          <th scope="col">Mean delay at {n(then)}, min</th>
          <th scope="col">Mean delay at {n(now)}, min</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.airport} class={row.before?.count === row.after.count ? '' : 'changed'}>
            <th scope="row">{row.airport}</th>
            <td>{n(row.before?.count ?? 0)}</td>
            <td>{n(row.after.count)}</td>
            <td>{mean(row.before)}</td>
            <td>{mean(row.after)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

const mean = (delays) => (delays === undefined ? '–' : (delays.sum / delays.count).toFixed(1))

/** The version itself, or the newest kept before it, or the oldest that is kept. */
function nearest(numbers, version) {
  return numbers.findLast((number) => number <= version) ?? numbers[0]
}
