/**
 * A form that works offline. A report is durable in this browser when the form is empty again, with a network or without. What
 * is new is pushed to a bucket as soon as there is a network: segments and entries that are there already are not sent again.
 *
 *     npm run build && node demo/offline-form/server.mjs
 *
 * Open the page, switch the network off in the developer tools, and fill in the form; reload as well. Then switch it on.
 */
import { openStore } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import { s3Fetch } from 'tidemark/s3-fetch'
import { push } from 'tidemark/transfer'

const TRY_AGAIN_MS = 30_000

const here = { storage: indexedDb('reports', { persist: true }), name: 'reports' }
const store = await openStore(here)

// Each browser has a store of its own in the bucket: nobody else writes there, so that a push can't conflict.
const device = String(await store.table('own').update('device', (id = crypto.randomUUID()) => id))
// The page has no key of the bucket: its server signs what it passes on.
const bucket = s3Fetch({ fetch: (url, init) => fetch(url, init), url: new URL('bucket', location.href).href })
const there = { storage: bucket, name: `reports-${device}` }

/** The newest version that is known to be in the bucket. */
let sent = 0
let again

/** Shows what there is, and sends it: one tab at a time, until nothing is left. A push that is cut off changes nothing there. */
function send() {
  show()
  void navigator.locks.request('send reports', pushAll)
}

async function pushAll() {
  try {
    while (navigator.onLine && sent < store.version) {
      sent = (await push(here, there)).from
      show()
    }
  } catch (error) {
    console.info(`Not sent yet: ${error.message}`)
    clearTimeout(again)
    again = setTimeout(send, TRY_AGAIN_MS)
  }
}

// Those of other tabs are shown and sent, too.
const reports = store.live({ prefix: ['report'] })
reports.subscribe(send)
addEventListener('online', send)
addEventListener('offline', show)

function show() {
  const texts = reports.current.map(([, { place, fault }]) => `${place}: ${fault}`)
  const items = texts.map((textContent) => Object.assign(document.createElement('li'), { textContent }))
  document.querySelector('ul').replaceChildren(...items)
  const rest = navigator.onLine ? 'They are being sent.' : 'They will be sent when the network is back.'
  const state = sent >= store.version ? 'All are sent.' : rest
  document.querySelector('#status').textContent = `Reports: ${items.length}. ${state}`
}

/** The form is emptied when the report is durable. */
async function keep(form) {
  const { place, fault } = Object.fromEntries(new FormData(form))
  await store.set(['report', Date.now(), crypto.randomUUID()], { place, fault })
  form.reset()
}

document.querySelector('form').addEventListener('submit', (event) => {
  event.preventDefault()
  void keep(event.target)
})
document.querySelector('button').disabled = false

await reports.ready
send()
// The page itself is kept as well.
await navigator.serviceWorker.register('./service-worker.js')
