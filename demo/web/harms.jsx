import { useEffect } from 'preact/hooks'
import { Button } from './button.jsx'
import { damage } from './damage.js'
import { fill, filling, measure, stopFilling } from './fill.js'
import { bytes } from './format.js'
import { trying } from './said.js'
import { useSignal } from './signal.js'

export function Harm() {
  const { quota, written } = useSignal(filling)
  useEffect(() => void trying('Asking for the quota', measure), [])
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
            Writes until the browser refuses more. Then it counts what is there, and gives the space back. This browser
            says that it grants <b data-figure="quota">{bytes(quota ?? 0)}</b>. Gigabytes take minutes: stop when you
            have seen enough, or set a small quota in the developer tools (in Chromium under Application, Storage).
          </p>
          <div class="buttons">
            <Button name="Fill the quota" kind="danger" run={fill} />
            {written !== undefined && (
              <>
                <button type="button" onClick={stopFilling}>
                  Stop filling
                </button>
                <span data-figure="filled">{bytes(written)} written</span>
              </>
            )}
          </div>
        </article>
      </div>
    </section>
  )
}
