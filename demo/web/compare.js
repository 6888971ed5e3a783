/** Compares what the store holds with a count in memory that no worker has ever been killed in. */
import { countInMemory } from '../flights/statistics.mjs'
import { opened } from './opened.js'
import { countedIn, loadFlights } from './place.js'
import { signal } from './signal.js'

/** The last comparison. */
export const comparison = signal(undefined)

export async function compareWithMemory() {
  const flights = await loadFlights()
  const snapshot = await opened().snapshot()
  try {
    const { version } = snapshot
    const counted = countedIn(snapshot.offsets)
    const expected = countInMemory([{ name: 'flights', flights: flights.slice(0, counted) }])
    let values = 0
    let different = 0
    for (const [table, should] of expected) {
      const left = new Map(should)
      for await (const [key, value] of snapshot.table(table).entries()) {
        const id = JSON.stringify(key)
        if (JSON.stringify(left.get(id)) !== JSON.stringify(value)) different++
        left.delete(id)
        values++
      }
      different += left.size
    }
    const result = { version, counted, values, different }
    comparison.set(result)
    if (different > 0) throw new Error(`${different} of ${values} values differ from a count in memory.`)
    return result
  } finally {
    await snapshot.close()
  }
}
