/** An entry of a legend. */
export function Key({ kind, children }) {
  return (
    <span class="entry">
      <span class={`key ${kind}`} aria-hidden="true" /> {children}
    </span>
  )
}
