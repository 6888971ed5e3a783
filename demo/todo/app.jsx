/** A list of things to do, in as many tabs as one likes. */
import { memo } from 'react'
import { createRoot } from 'react-dom/client'
import { indexedDb } from 'tidemark/indexeddb'
import { TidemarkProvider, useEntries, useStore } from 'tidemark/react'

const storage = indexedDb('todo')

function App() {
  return (
    <TidemarkProvider storage={storage} name="todo" suspense fallback={<p>Loading …</p>}>
      <Todos />
    </TidemarkProvider>
  )
}

function Todos() {
  const store = useStore()
  const todos = useEntries({ prefix: 'todo-' })
  const add = (event) => {
    event.preventDefault()
    const { text } = event.currentTarget
    store.set(`todo-${Date.now()}-${Math.random()}`, { text: text.value, done: false })
    text.value = ''
  }
  return (
    <main>
      <form onSubmit={add}>
        <input name="text" placeholder="What is to be done?" autoFocus />
      </form>
      <ul>
        {todos.map(([id, todo]) => (
          <Todo key={id} id={id} todo={todo} />
        ))}
      </ul>
      <p>{todos.filter(([, { done }]) => !done).length} left</p>
    </main>
  )
}

/** It is rendered again when its own entry has changed. */
const Todo = memo(function Todo({ id, todo: { text, done } }) {
  const store = useStore()
  // What another tab has changed or removed meanwhile is taken into account.
  const change = (changes) => store.update(id, (now) => now && { ...now, ...changes(now) })
  return (
    <li>
      <input type="checkbox" checked={done} onChange={() => change((now) => ({ done: !now.done }))} />
      <input key={text} defaultValue={text} onBlur={({ target }) => change(() => ({ text: target.value }))} />
      <button onClick={() => store.remove(id)}>Delete</button>
    </li>
  )
})

createRoot(document.getElementById('root')).render(<App />)
