import { act, busy } from './said.js'
import { useSignal } from './signal.js'

/** A button that says what it has done. While one act is under way the others wait. */
export function Button({ name, run, disabled = false, kind = 'plain', children = name }) {
  const now = useSignal(busy)
  return (
    <button
      class={kind}
      type="button"
      disabled={disabled || now !== ''}
      aria-busy={now === name}
      onClick={() => act(name, run)}
    >
      {children}
    </button>
  )
}
