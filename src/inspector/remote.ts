/// <reference lib="dom" />
/** The source of an inspector whose store is a server's: each of its calls is a request to an address below one. */
import { READING, WRITING, type InspectorSource } from './source.js'

/** @param address the address of the interface; requests go to what is below it, and nowhere else */
export function remoteSource(address: string): InspectorSource {
  const base = new URL(address, document.baseURI)
  const call = async (name: string, given: readonly unknown[]): Promise<unknown> => {
    const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(given) }
    const response = await fetch(new URL(name, base), request).catch((cause: unknown) => {
      throw new Error('The server of this page does not answer. Start it again, and open the address that it prints.', {
        cause,
      })
    })
    const answer = (await response.json()) as { value?: unknown; error?: string }
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer.value
  }
  const calls = [...READING, ...WRITING].map((name) => [name, (...given: readonly unknown[]) => call(name, given)])
  return {
    ...(Object.fromEntries(calls) as Omit<InspectorSource, 'watch'>),
    watch(changed) {
      const events = new EventSource(new URL('events', base))
      // Something may have been missed before it was open, and a server that has ended should be told of.
      for (const name of ['open', 'message', 'error']) events.addEventListener(name, changed)
      return () => events.close()
    },
  }
}
