import { act, busy } from './said.js'
import { useSignal } from './signal.js'

/**
 * A button that says what it has done. While one act is under way the others wait. They stay in the order of the keyboard, so
 * that whoever presses one by keyboard is still there when it is done.
 */
export function Button({ name, run, disabled = false, kind = 'plain', children = name }) {
  const now = useSignal(busy)
  const off = disabled || now !== ''
  return (
    <button
      class={kind}
      type="button"
      aria-disabled={off}
      aria-busy={now === name}
      onClick={() => off || act(name, run)}
    >
      {children}
    </button>
  )
}
