/** Values that components follow. */
import { useEffect, useState } from 'preact/hooks'

export function signal(value) {
  const listeners = new Set()
  return {
    get: () => value,
    set(next) {
      value = next
      for (const listener of listeners) listener(value)
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

export function useSignal(of) {
  const [value, setValue] = useState(of.get())
  useEffect(() => {
    setValue(of.get())
    return of.subscribe(setValue)
  }, [of])
  return value
}
