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
