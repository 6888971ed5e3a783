import { Button } from './button.jsx'
import { damage, fill } from './harm.js'

export function Harm() {
  return (
    <section aria-labelledby="harm">
      <h2 id="harm">Harm it</h2>
      <div class="cards">
        <article>
          <h3>Damage a segment</h3>
          <p>
            Flips a byte in the database, behind the back of the store. The next reader notices by a checksum, and
            rebuilds the segment.
          </p>
          <Button name="Flip a byte" kind="danger" run={damage} />
        </article>
        <article>
          <h3>Fill the disk</h3>
          <p>
            Writes pieces of 1 MB until the browser refuses more, 64 of them at most. Then it counts what is there, and
            gives the space back.
          </p>
          <Button name="Fill the quota" kind="danger" run={fill} />
        </article>
      </div>
    </section>
  )
}
