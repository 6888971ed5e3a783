import { expect, test } from 'vitest'
import { Memtable } from '../../../../src/engine/memtable.js'
import { Queue } from '../../../../src/engine/write/commit-queue.js'
import type { CommitRequest, Job } from '../../../../src/engine/write/requests.js'
import { parseOffsets } from '../../../../src/log/offsets.js'
import { memtableOf, requestOf } from '../../../support/parts.js'

/** A commit that puts one key, ten bytes in size. */
function commit(key: number, request: Partial<CommitRequest> = {}): Job {
  return { ...other(), request: requestOf(memtableOf({ puts: [[key, key]] }), request) }
}

/** A job that is no commit: a reset, a fold. */
const other = (): Job => ({
  isVersion: true,
  build: () => Promise.resolve(undefined),
  resolve: () => undefined,
  reject: () => undefined,
})

function queueOf(jobs: readonly Job[]): Queue {
  const queue = new Queue()
  for (const job of jobs) queue.push(job)
  return queue
}

const memtables = (jobs: readonly Job[]): Memtable[] => jobs.map(({ request }) => request!.memtable)

test('what waits and may share an entry goes off together, in its order', () => {
  const jobs = [commit(1), commit(2), commit(3)]
  const queue = queueOf(jobs)
  expect(queue.take()).toEqual(jobs)
  expect([queue.first, queue.inFlight]).toEqual([undefined, jobs])
})

test.each<[string, Partial<CommitRequest>]>([
  ['a label', { label: 'l' }],
  ['meta', { meta: '{}' }],
  ['offsets', { offsets: parseOffsets({ a: 1 }) }],
])('a commit with %s has an entry of its own, wherever it stands', (_, request) => {
  const [first, own, last] = [commit(1), commit(2, request), commit(3)]
  const queue = queueOf([first, own, last])
  for (const job of [first, own, last]) {
    expect(queue.take()).toEqual([job])
    queue.settle()
  }
})

test('so has what is no commit', () => {
  const jobs = [other(), commit(1), other(), commit(2)]
  const queue = queueOf(jobs)
  for (const job of jobs) {
    expect(queue.take()).toEqual([job])
    queue.settle()
  }
})

test('a number of jobs is sent off as it is, whatever came behind them', () => {
  const jobs = [commit(1), commit(2), commit(3)]
  expect(queueOf(jobs).take(2)).toEqual(jobs.slice(0, 2))
})

test('what is on its way can be read, newest first, until it is settled', () => {
  const jobs = [commit(1), commit(2, { label: 'l' }), commit(3)]
  const queue = queueOf(jobs)
  expect(queue.memtables).toEqual(memtables(jobs).toReversed())
  queue.take()
  expect(queue.memtables).toEqual(memtables(jobs).toReversed())
  expect(queue.settle()).toEqual([jobs[0]])
  expect(queue.memtables).toEqual(memtables(jobs.slice(1)).toReversed())
  expect(queue.inFlight).toEqual([])
})

test('its bytes are those of what is on its way', () => {
  const queue = queueOf([commit(1), commit(2), commit(3, { label: 'l' })])
  expect(queue.bytes).toBe(30)
  queue.take()
  expect(queue.bytes).toBe(30)
  queue.settle()
  expect(queue.bytes).toBe(10)
  queue.takeOut(() => true)
  expect(queue.bytes).toBe(0)
})

test('a commit without changes waits its turn and is not read', () => {
  const [empty, full] = [commit(1, { memtable: new Memtable() }), commit(2)]
  const queue = queueOf([empty, full])
  expect(queue.memtables).toEqual(memtables([full]))
  expect(queue.take()).toEqual([empty, full])
  queue.settle()
  expect([queue.memtables, queue.bytes]).toEqual([[], 0])
})

test('what is put back is in front of what came meanwhile', () => {
  const [first, second] = [commit(1), commit(2)]
  const queue = queueOf([first])
  queue.take()
  queue.push(second)
  queue.putBack()
  expect([queue.inFlight, queue.memtables]).toEqual([[], memtables([second, first])])
  expect(queue.take()).toEqual([first, second])
})

test('what falls is taken out in its order, in flight or not, and the rest keeps its own', () => {
  const jobs = [commit(1), commit(2), commit(3, { label: 'l' }), commit(4)]
  const queue = queueOf(jobs)
  queue.take()
  expect(queue.takeOut((job) => job === jobs[3] || job === jobs[0])).toEqual([jobs[0], jobs[3]])
  expect([queue.memtables, queue.bytes]).toEqual([memtables([jobs[2]!, jobs[1]!]), 20])
  expect(queue.take()).toEqual([jobs[1]])
})

test('when nothing falls everything waits for another turn', () => {
  const queue = queueOf([commit(1)])
  queue.take()
  expect(queue.takeOut(() => false)).toEqual([])
  expect([queue.inFlight.length, queue.first === undefined, queue.bytes]).toEqual([0, false, 10])
})
