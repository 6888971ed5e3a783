/** A page with a store in memory and the inspector of it, which may restore and tag. */
import { openStore } from 'tidemark'
import { defineInspector } from 'tidemark/inspector'
import { memory } from 'tidemark/memory'

const inspector = document.createElement('tidemark-inspector')
inspector.setAttribute('write', '')
document.querySelector('main').append(inspector)
const store = await openStore({ storage: memory(), name: 'orders', partitions: 4, retain: { versions: 1000 } })
// It is given before the page knows the element.
inspector.store = store
defineInspector()
for (let i = 0; i < 60; i++) store.put(`o-${String(i).padStart(2, '0')}`, { total: i })
await store.commit({ label: 'first', offsets: { clicks: 60 } })
await store.checkpoint()
await store.set('o-05', { total: 500 })
await store.remove('o-07')
await store.table('users').set('ada', { since: new Date(0), '<img src=x>': 1n })
globalThis.store = store
