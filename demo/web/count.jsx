/** The job: what it has counted, its buttons, and the proof that nothing is lost. */
import { Button } from './button.jsx'
import { comparison } from './compare.js'
import { n } from './format.js'
import { freeze, job, kill, start, stop, thaw } from './job.js'
import { startOver } from './opened.js'
import { useSignal } from './signal.js'

const TOTAL = 20_000
const STATES = {
  stopped: 'No worker runs in this tab',
  running: 'The worker counts',
  killed: 'The worker was killed, and the next one begins',
  frozen: 'The worker is frozen',
  finished: 'All flights are counted',
}

export function Count({ view }) {
  const { state, kills } = useSignal(job)
  const compared = useSignal(comparison)
  const { counted = 0, offset = 0, version = 0 } = view ?? {}
  const runs = state === 'running'
  return (
    <section class="count" aria-labelledby="count">
      <p class="name">Tidemark, live in this tab</p>
      <h1 id="count">Kill it as often as you like. Nothing is lost.</h1>
      <p class="lead">
        A worker counts 20,000 flights and keeps the result in your browser. Each commit writes the counts and its place
        in the stream together, so a killed worker goes on where its last commit ended.
      </p>
      <dl class="figures">
        <Figure name="flights counted" value={n(counted)} of={`of ${n(TOTAL)}`} big />
        <Figure name="lost" value={n(Math.max(0, offset - counted))} />
        <Figure name="counted twice" value={n(Math.max(0, counted - offset))} />
        <Figure name="times killed" value={n(kills)} />
        <Figure name="version" value={n(version)} />
      </dl>
      <progress max={TOTAL} value={counted} aria-label="Flights counted" />
      <p class="state">
        <span class={`dot ${state}`} aria-hidden="true" /> {STATES[state]}.{' '}
        {compared &&
          `Version ${n(compared.version)}: ${n(compared.values - compared.different)} of ${n(compared.values)} values equal a count in memory.`}
      </p>
      <div class="buttons">
        {state === 'stopped' || state === 'finished' ? (
          <Button name="Start" kind="main" run={start} disabled={!view || state === 'finished'} />
        ) : (
          <Button name="Pause" kind="main" run={stop} />
        )}
        <Button name="Kill in mid-commit" kind="danger" run={kill} disabled={!runs} />
        {state === 'frozen' ? (
          <Button name="Thaw" run={thaw} />
        ) : (
          <Button name="Freeze" run={freeze} disabled={!runs} />
        )}
        <Button
          name="Start over"
          disabled={!view || runs || state === 'frozen'}
          run={async () => {
            await startOver()
            comparison.set(undefined)
            job.set({ ...job.get(), state: 'stopped' })
            return 'The store is destroyed, and an empty one is there. Press Start.'
          }}
        />
      </div>
    </section>
  )
}

function Figure({ name, value, of, big }) {
  return (
    <div class={big ? 'figure big' : 'figure'}>
      <dt>{name}</dt>
      <dd data-figure={name}>
        {value} {of && <small>{of}</small>}
      </dd>
    </div>
  )
}
