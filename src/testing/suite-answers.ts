/** Promises about the answers of every method: aborted signals, errors, the storage's time. */
import type { Answer, CallOptions, Log, Storage } from '../storage/contract.js'
import { check, equal, equalAbsent, settle, text, type Promised } from './assert.js'

type Make = (options: CallOptions) => Promise<Answer>

/** Makes every call that takes a signal, on a log whose fence is entry 1. */
function everyCall(storage: Storage, log: Log): ReadonlyArray<readonly [string, Make]> {
  const { blobs } = storage
  const anchor = storage.anchor('orders/0/anchor')
  return [
    ['blobs.put', (o) => blobs.put('orders/0/id/seg/a', text('a'), o)],
    ['blobs.get', (o) => blobs.get('orders/0/id/seg/a', o)],
    ['blobs.get of a range', (o) => blobs.get('orders/0/id/seg/a', { ...o, range: { offset: 0, length: 1 } })],
    ['blobs.list', (o) => blobs.list('orders/', o)],
    ['blobs.delete', (o) => blobs.delete(['orders/0/id/seg/a'], o)],
    ['log.append', (o) => log.append(2, text('two'), 1, o)],
    ['log.claim', (o) => storage.log('orders/1/id').claim(1, text('one'), 1, o)],
    ['log.read', (o) => log.read(1, o)],
    ['log.readTail', (o) => log.readTail?.(1, o) ?? log.read(1, o)],
    ['log.list', (o) => log.list(1, o)],
    ['log.sync', (o) => log.sync(o)],
    ['anchor.read', (o) => anchor.read(o)],
    ['anchor.swap', (o) => anchor.swap(undefined, text('anchor'), 0, o)],
    ['anchor.remove', (o) => anchor.remove(o)],
    ['log.remove', (o) => storage.log('orders/2/id').remove([1], o)],
    ['log.destroy', (o) => storage.log('orders/2/id').destroy(o)],
    ['logs', (o) => storage.logs('orders/', o)],
  ]
}

async function owned(storage: Storage): Promise<Log> {
  const log = storage.log('orders/0/id')
  equal((await log.claim(1, text('fence'), 1)).outcome, 'committed', 'a claim of a new log')
  return log
}

export const answerTests: readonly Promised[] = [
  [
    'signals: a call with an aborted signal ends as ABORTED or completes',
    async (storage) => {
      const log = await owned(storage)
      for (const [name, call] of everyCall(storage, log)) {
        const end = await settle(call({ signal: AbortSignal.abort() }), name)
        if ('code' in end) equal(end.code, 'ABORTED', `the error of ${name}`)
      }
    },
  ],
  [
    'signals: a call that is aborted on its way ends as ABORTED, as unknown, or completes',
    async (storage) => {
      const log = await owned(storage)
      for (const [name, call] of everyCall(storage, log)) {
        const controller = new AbortController()
        const answer = call({ signal: controller.signal })
        controller.abort()
        const end = await settle(answer, name)
        if ('code' in end) equal(end.code, 'ABORTED', `the error of ${name}`)
      }
    },
  ],
  [
    'signals: an append or a swap that ends as ABORTED has surely changed nothing',
    async (storage) => {
      const log = await owned(storage)
      const anchor = storage.anchor('orders/0/anchor')
      const controller = new AbortController()
      const { signal } = controller
      const calls = [log.append(2, text('two'), 1, { signal }), anchor.swap(undefined, text('anchor'), 0, { signal })]
      controller.abort()
      const [append, swap] = await Promise.all(calls.map((answer) => settle(answer, 'an aborted write')))
      if (append && 'code' in append) equalAbsent((await storage.log('orders/0/id').read(2)).bytes, 'the entry')
      if (swap && 'code' in swap) equalAbsent((await anchor.read()).bytes, 'the anchor')
    },
  ],
  [
    'signals: one that never aborts changes nothing',
    async (storage) => {
      const log = await owned(storage)
      for (const [name, call] of everyCall(storage, log)) {
        const end = await settle(call({ signal: new AbortController().signal }), name)
        if ('code' in end) check(false, `${name} failed with ${end.code}`)
      }
    },
  ],
  [
    'time: where answers have one, it is in milliseconds and never steps back',
    async (storage) => {
      const log = await owned(storage)
      let before = 0
      for (let round = 0; round < 2; round++) {
        for (const [name, call] of everyCall(storage, log)) {
          const { time } = await call({})
          if (time === undefined) continue
          check(time > 1e12 && time < 1e14, `the time of ${name} is in milliseconds since the epoch: ${time}`)
          check(time >= before, `the time of ${name}, ${time}, is before that of an earlier answer, ${before}`)
          before = time
        }
      }
    },
  ],
]
