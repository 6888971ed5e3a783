/// <reference lib="dom" />
/** The source of an inspector whose store is a server's: each of its calls is a request to an address below one. */
import type { InspectorSource } from './source.js'

/** The calls that are requests. */
const CALLS = ['facts', 'versions', 'rows', 'changes', 'counts', 'restore', 'tag'] as const

/** @param address the address of the interface; requests go to what is below it, and nowhere else */
export function remoteSource(address: string): InspectorSource {
  const base = new URL(address, document.baseURI)
  const call = async (name: string, given: readonly unknown[]): Promise<unknown> => {
    const response = await fetch(new URL(name, base), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(given),
    })
    const answer = (await response.json()) as { value?: unknown; error?: string }
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer.value
  }
  const calls = Object.fromEntries(CALLS.map((name) => [name, (...given: readonly unknown[]) => call(name, given)]))
  return {
    ...(calls as unknown as Pick<InspectorSource, (typeof CALLS)[number]>),
    watch(changed) {
      const events = new EventSource(new URL('events', base))
      events.addEventListener('message', changed)
      return () => events.close()
    },
  }
}
