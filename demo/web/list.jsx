/** A list in the same store, which all tabs of this page edit at once. */
import { useState } from 'preact/hooks'
import { Button } from './button.jsx'
import { notes, opened } from './opened.js'
import { trying } from './said.js'
import { useSignal } from './signal.js'

const table = () => opened().table('notes')

export function List() {
  const entries = useSignal(notes)
  const [text, setText] = useState('')
  const add = async () => {
    const wanted = text.trim()
    if (wanted === '') return undefined
    await table().set([Date.now(), Math.random()], { text: wanted, done: false })
    setText('')
    return `“${wanted}” is committed. All tabs show it.`
  }
  const toggle = (key) => table().update(key, (now) => now && { ...now, done: !now.done })
  return (
    <section aria-labelledby="list">
      <h2 id="list">Write in two tabs</h2>
      <p>A second tab shows the same counts and edits the same list, live, while the worker goes on committing.</p>
      <form
        class="add"
        onSubmit={(event) => {
          event.preventDefault()
          void trying('Add', add)
        }}
      >
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
                onChange={() => trying('The change', () => toggle(key).then(() => undefined))}
              />{' '}
              {text}
            </label>
            <button
              type="button"
              aria-label={`Remove ${text}`}
              onClick={() =>
                trying('Remove', () =>
                  table()
                    .remove(key)
                    .then(() => `“${text}” is removed, in all tabs.`),
                )
              }
            >
              Remove
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}
