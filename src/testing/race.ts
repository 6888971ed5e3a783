import type { Outcome } from '../storage/contract.js'
import { check, equal, equalBytes, text } from './assert.js'

const TRIES = 8

/**
 * Sends a conditional write for each of `bodies` at once, and returns the index of the one that won. Exactly one has to win,
 * and its bytes have to read back. Storages may answer the losers of a race with an error that leaves the outcome open (AWS
 * 409, Ceph 500). Each of these sends again until it knows, as the log would. If the winner was among them, it then hears
 * `lost` of its own object.
 */
export async function race(
  bodies: readonly string[],
  send: (body: Uint8Array, i: number) => Promise<Outcome>,
  read: () => Promise<Uint8Array | undefined>,
  what: string,
): Promise<number> {
  const first = await Promise.all(bodies.map((body, i) => send(text(body), i)))
  const known = await Promise.all(first.map((answer, i) => settled(answer, () => send(text(bodies[i]!), i))))
  const committed = bodies.flatMap((_, i) => (known[i] === 'committed' ? [i] : []))
  const bytes = await read()
  check(bytes !== undefined, `${what}: nothing is there after it`)
  const winner = committed[0] ?? bodies.indexOf(new TextDecoder().decode(bytes))
  if (committed.length === 0) check(first[winner]?.outcome === 'unknown', `${what}: nobody was told that it succeeded`)
  else equal(committed.length, 1, `${what}: those that succeeded`)
  equal(
    known.filter((outcome) => outcome === 'lost').length,
    bodies.length - committed.length,
    `${what}: those that lost`,
  )
  equalBytes(bytes, text(bodies[winner]!), `${what}: the bytes of the winner`)
  return winner
}

async function settled(answer: Outcome, again: () => Promise<Outcome>): Promise<Outcome['outcome']> {
  for (let i = 0; i < TRIES && answer.outcome === 'unknown' && answer.settle; i++) answer = await again()
  return answer.outcome
}
