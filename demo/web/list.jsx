/** A list in the same store, which all tabs of this page edit at once. */
import { useState } from 'preact/hooks'
import { Button } from './button.jsx'
import { notes, opened } from './opened.js'
import { say } from './said.js'
import { useSignal } from './signal.js'

const table = () => opened().table('notes')

export function List() {
  const entries = useSignal(notes)
  const [text, setText] = useState('')
  const add = async (event) => {
    event.preventDefault()
    const wanted = text.trim()
    if (wanted === '') return
    setText('')
    await table().set([Date.now(), Math.random()], { text: wanted, done: false })
    say(`“${wanted}” is committed. All tabs show it.`)
  }
  return (
    <section aria-labelledby="list">
      <h2 id="list">Write in two tabs</h2>
      <p>A second tab shows the same counts and edits the same list, live, while the worker goes on committing.</p>
      <form class="add" onSubmit={add}>
        <label>
          A line for the list{' '}
          <input value={text} onInput={({ currentTarget }) => setText(currentTarget.value)} maxLength="80" />
        </label>
        <button type="submit">Add</button>
        <Button
          name="Open a second tab"
          run={() => {
            window.open(location.href, '_blank', 'noopener')
            return 'A second tab is open. Put the two side by side, and change the list in either.'
          }}
        />
      </form>
      <ul class="list">
        {entries.map(([key, { text, done }]) => (
          <li key={JSON.stringify(key)}>
            <label>
              <input
                type="checkbox"
                checked={done}
                onChange={() => table().update(key, (now) => now && { ...now, done: !now.done })}
              />{' '}
              {text}
            </label>
            <button type="button" aria-label={`Remove ${text}`} onClick={() => table().remove(key)}>
              Remove
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}
