/** A worker that opens a log, and when told so tries to append each number; it answers those that it was told are its own. */
import type { Log } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'

interface Message {
  readonly name?: string
  readonly id?: number
  readonly count?: number
}

let log: Log
let id = 0

addEventListener('message', (event) => {
  const message = (event as MessageEvent).data as Message
  void (message.name === undefined ? race(message.count!) : prepare(message.name, message.id!)).then(postMessage)
})

async function prepare(name: string, given: number): Promise<string> {
  id = given
  log = indexedDb(name).log('s/0/id')
  await log.read(1)
  return 'ready'
}

async function race(count: number): Promise<number[]> {
  const won: number[] = []
  for (let n = 1; n <= count; n++) {
    const { outcome } = await log.append(n, new TextEncoder().encode(`${id} ${n}`), 1)
    if (outcome === 'committed') won.push(n)
  }
  return won
}
