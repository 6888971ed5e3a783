/**
 * An edge function with state: sessions that expire, and a counter, in one bucket of Cloudflare R2.
 *
 * Each request opens a handle of its own, in shared mode: workerd lets no request wait for what another one began, and any number
 * of isolates write the same store. Opening takes three round trips and writes nothing. A log bears about one commit per round trip,
 * so sessions are spread over many stores; the counter is limited by its one log. A cron trigger folds, compacts and collects.
 *
 *     POST   /sessions           keeps the JSON body    { id }
 *     GET    /sessions/<id>      the body, or 404 when it is unknown or has expired
 *     DELETE /sessions/<id>      ends it
 *     POST   /counter            adds 1; GET reads it   { count }
 */
import { openStore } from 'tidemark'
import { r2 } from 'tidemark/r2'

const HALF_AN_HOUR = 30 * 60_000
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** One store for each first digit of an id. */
const STORES = ['counter', ...Array.from('0123456789abcdef', (digit) => `sessions-${digit}`)]

/** Small, as an isolate has 128 MiB for all that it does at once. A short tail, as each request reads all of it. */
const SIZES = { cacheBytes: 4 << 20, maxUncommittedBytes: 1 << 20, segmentBytes: 1 << 20 }
const TAIL = { checkpoint: { entries: 16, bytes: 1 << 20 } }

async function withStore(env, name, use, options = {}) {
  const storage = r2(env.BUCKET, { prefix: 'state' })
  const store = await openStore({ storage, name, mode: 'shared', ...SIZES, ...TAIL, ...options })
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

async function newSession(request, env) {
  const session = await request.json().catch(() => undefined)
  if (session === undefined) return new Response('a JSON body is expected', { status: 400 })
  const id = crypto.randomUUID()
  const ttlMs = Number(env.SESSION_MS ?? HALF_AN_HOUR)
  await withStore(env, `sessions-${id[0]}`, (store) => store.set(id, session, { ttlMs }))
  return Response.json({ id }, { status: 201 })
}

const readSession = async (store, id) => {
  const session = await store.get(id)
  return session === undefined ? new Response('no such session', { status: 404 }) : Response.json(session)
}
const endSession = async (store, id) => (await store.remove(id), new Response(null, { status: 204 }))
const readCount = async (store) => Response.json({ count: (await store.get('count')) ?? 0 })
/** However many do it at once, each counts. */
const addOne = async (store) => Response.json({ count: await store.update('count', (n = 0) => n + 1) })

export default {
  async fetch(request, env) {
    const [, what, id = ''] = new URL(request.url).pathname.split('/')
    const of = (methods) => methods[request.method] ?? (() => new Response('no such method', { status: 405 }))
    try {
      if (what === 'counter') return await withStore(env, what, of({ GET: readCount, POST: addOne }))
      if (what === 'sessions' && id === '') return await of({ POST: newSession })(request, env)
      if (what !== 'sessions' || !UUID.test(id)) return new Response('not found', { status: 404 })
      const answer = of({ GET: readSession, DELETE: endSession })
      return await withStore(env, `sessions-${id[0]}`, (store) => answer(store, id))
    } catch (error) {
      // CONFLICT: too many at once. STORAGE_UNAVAILABLE: the bucket does not answer. Both pass.
      return Response.json({ error: error.code ?? error.name }, { status: error.retryable ? 503 : 500 })
    }
  },

  async scheduled(_event, env) {
    for (const name of STORES) {
      try {
        await withStore(env, name, (store) => store.maintain({ budgetMs: 1_000 }), { create: false })
      } catch (error) {
        // The next run comes soon, and the other stores must not wait for it. A store that nobody has written is NOT_FOUND.
        if (error.code !== 'NOT_FOUND') console.warn(`maintaining ${name}: ${error.message}`)
      }
    }
  },
}
