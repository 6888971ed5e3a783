/** A tab with a counter in zustand that other tabs share, for test/adapters/zustand-tabs.test.ts. */
import { openStore } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import { sharedPersist } from 'tidemark/web-storage'
import { createStore } from 'zustand/vanilla'

const errors = []
const store = openStore({ storage: indexedDb('zustand'), name: 'state' })

/** Counts up, from before the stored state was read. */
globalThis.count = async (times) => {
  const shared = sharedPersist(await store, { name: 'counter', onError: (error) => errors.push(String(error)) })
  const counter = createStore(shared.persist((set) => ({ n: 0, add: () => set(({ n }) => ({ n: n + 1 })) })))
  globalThis.counter = counter
  for (let i = 0; i < times; i++) {
    counter.getState().add()
    if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await shared.committed()
  return errors
}
globalThis.shown = () => globalThis.counter.getState().n
