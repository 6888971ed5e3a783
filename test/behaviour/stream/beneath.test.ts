/** consume() on a store that the program changes beneath it: events are neither lost nor have their effect twice. */
import { expect, test } from 'vitest'
import { openStore, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { consume, fromIterable, type Handler } from 'tidemark/stream'

const values = Array.from({ length: 9 }, (_, i) => i)

const acts: readonly [string, (store: Store<string, number>, version: number) => Promise<unknown>][] = [
  ['opened again', (store) => store.reopen()],
  ['put back', (store, version) => store.restore(version - 1)],
]
const cases = acts.flatMap(([what, act]) => (['exclusive', 'shared'] as const).map((mode) => ({ what, mode, act })))

test.each(cases)('a store that is $what during a run, in $mode mode', async ({ what, mode, act }) => {
  const store = await openStore<string, number>({ storage: memory(), name: 'beneath', mode })
  let isDone = false
  const change = async (): Promise<void> => {
    if (isDone) return
    isDone = true
    await act(store, store.version)
  }
  const handler: Handler<number, unknown, string, number> = async ({ value }, state) => {
    if (value === 7 && what === 'opened again') await change()
    state.put(`v${value}`, ((await state.get(`v${value}`)) ?? 0) + 1)
  }
  const onProgress = ({ events }: { readonly events: number }): unknown =>
    events === 6 && what === 'put back' ? change() : undefined
  const run = (): Promise<unknown> => consume(store, fromIterable('s', values), handler, { everyEvents: 3, onProgress })
  const first = run()
  // Beside other writers a batch can be handled again; where the source itself was put back, that is not at hand.
  if (mode === 'shared' && what === 'opened again') await first
  else await expect(first).rejects.toMatchObject({ code: 'CONFLICT' })
  await run()
  expect(isDone).toBe(true)
  for (const value of values) expect(await store.get(`v${value}`)).toBe(1)
  expect(store.offsets).toEqual({ s: { 0: 9 } })
})

test.each(['exclusive', 'shared'] as const)(
  'what the program commits meanwhile takes no half of a batch along, in %s mode',
  async (mode) => {
    const store = await openStore<string, number>({ storage: memory(), name: 'beneath', mode })
    let fails = true
    const handler: Handler<number, unknown, string, number> = async ({ value }, state) => {
      state.put('all', ((await state.get('all')) ?? 0) + 1)
      if (value !== 5 || !fails) return
      fails = false
      store.put('beside', 1)
      await store.commit()
      throw new Error('on the way')
    }
    const run = (): Promise<unknown> => consume(store, fromIterable('s', values), handler)
    await expect(run()).rejects.toThrow('on the way')
    expect(await store.getMany(['beside', 'all'])).toEqual([1, undefined])
    await run()
    expect(await store.get('all')).toBe(9)
  },
)

test('in exclusive mode what the program has put is seen by handlers, and goes with the next commit', async () => {
  const storage = memory()
  const store = await openStore<string, number>({ storage, name: 'beneath' })
  store.put('before', 1)
  const seen: (number | undefined)[] = []
  const handler: Handler<number, unknown, string, number> = async ({ value }, state) => {
    seen.push(...(await state.getMany(['before', 'beside'])))
    store.put('beside', value)
    state.put('before', value + 2)
  }
  await consume(store, fromIterable('s', [7, 8]), handler)
  expect(seen).toEqual([1, undefined, 9, 7])
  await store.close()
  const again = await openStore<string, number>({ storage, name: 'beneath' })
  expect(await again.getMany(['before', 'beside'])).toEqual([10, 8])
})
