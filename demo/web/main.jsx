import { render } from 'preact'
import { useEffect } from 'preact/hooks'
import { Chart } from './chart.jsx'
import { Count } from './count.jsx'
import { Drawing } from './drawing.jsx'
import { Harm } from './harms.jsx'
import { List } from './list.jsx'
import { open, view, watchOver } from './opened.js'
import { Remote } from './remotes.jsx'
import { said, say } from './said.js'
import { useSignal } from './signal.js'
import { Timeline } from './timeline.jsx'

function Page() {
  const shown = useSignal(view)
  useEffect(() => {
    void open()
      .then(watchOver)
      .catch((error) => say(error.message))
  }, [])
  return (
    <>
      <main>
        <Count view={shown} />
        {shown && (
          <>
            <Drawing view={shown} />
            <Harm />
            <Chart view={shown} />
            <Timeline view={shown} />
            <List />
            <Remote />
          </>
        )}
      </main>
      <Said />
    </>
  )
}

/** Stays in sight, so that one sees the effect of a button wherever it is. */
function Said() {
  return (
    <p class="said" role="status" aria-live="polite">
      {useSignal(said)}
    </p>
  )
}

render(<Page />, document.getElementById('root'))
