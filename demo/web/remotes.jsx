import { Button } from './button.jsx'
import { bytes, n } from './format.js'
import { moved, pullBack, pushAway } from './remote.js'
import { useSignal } from './signal.js'

export function Remote() {
  const last = useSignal(moved)
  return (
    <section aria-labelledby="remote">
      <h2 id="remote">Take it elsewhere</h2>
      <p>
        The same segments work in an S3 bucket. Only those that the other side lacks travel. The bucket here is on your
        own machine, beside this page.
      </p>
      <div class="buttons">
        <Button name="Push to S3" run={pushAway} />
        <Button name="Pull from S3" run={pullBack} />
      </div>
      {last && (
        <dl class="figures">
          <div class="figure">
            <dt>segments {last.way}</dt>
            <dd data-figure="copied">{n(last.copied)}</dd>
          </div>
          <div class="figure">
            <dt>{last.way === 'pushed' ? 'already there' : 'already here'}</dt>
            <dd data-figure="reused">{n(last.reused)}</dd>
          </div>
          <div class="figure">
            <dt>written {last.way === 'pushed' ? 'there' : 'here'}</dt>
            <dd>{bytes(last.bytes)}</dd>
          </div>
        </dl>
      )}
    </section>
  )
}
