/**
 * An edge function with state: a counter, and sessions that expire, in one bucket of Cloudflare R2.
 *
 * - Each request opens a handle of its own, in shared mode: workerd lets no request wait for what another one began, and any
 *   number of isolates write the same store. Opening takes three round trips and writes nothing.
 * - A log bears about one commit per round trip to the storage. So sessions are spread over many stores; a counter that
 *   everybody increments is limited by that one log.
 * - A cron trigger folds, compacts and collects, so that requests don't have to.
 *
 *     POST   /counter            adds 1                 { count }
 *     GET    /counter            reads it               { count }
 *     POST   /sessions           keeps the JSON body    { id }
 *     GET    /sessions/<id>      the body, or 404 when it is unknown or has expired
 *     DELETE /sessions/<id>      ends it
 */
import { openStore } from 'tidemark'
import { r2 } from 'tidemark/r2'

/** One store for each first digit of an id. */
const SESSION_STORES = Array.from('0123456789abcdef', (digit) => `sessions-${digit}`)
const HALF_AN_HOUR = 30 * 60_000

/**
 * Small buffers: an isolate has 128 MiB for all requests that it serves at once. A short tail: each request opens the store,
 * and reads all of it.
 */
const SIZES = {
  cacheBytes: 4 << 20,
  maxUncommittedBytes: 1 << 20,
  segmentBytes: 1 << 20,
  checkpoint: { entries: 16, bytes: 1 << 20 },
}

async function withStore(env, name, use, options = {}) {
  const storage = r2(env.BUCKET, { prefix: 'state' })
  const store = await openStore({ storage, name, mode: 'shared', ...SIZES, ...options })
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

async function counter(request, env) {
  return withStore(env, 'counter', async (store) => {
    if (request.method === 'GET') return Response.json({ count: (await store.get('count')) ?? 0 })
    if (request.method !== 'POST') return new Response('GET or POST', { status: 405 })
    // However many do it at once, each counts.
    return Response.json({ count: await store.update('count', (n = 0) => n + 1) })
  })
}

async function sessions(request, env, id) {
  if (id === undefined) {
    if (request.method !== 'POST') return new Response('POST', { status: 405 })
    const fresh = crypto.randomUUID()
    const session = await request.json().catch(() => undefined)
    if (session === undefined) return new Response('a JSON body is expected', { status: 400 })
    const ttlMs = Number(env.SESSION_MS ?? HALF_AN_HOUR)
    await withStore(env, storeOf(fresh), (store) => store.set(fresh, session, { ttlMs }))
    return Response.json({ id: fresh }, { status: 201 })
  }
  return withStore(env, storeOf(id), async (store) => {
    if (request.method === 'DELETE') {
      await store.remove(id)
      return new Response(null, { status: 204 })
    }
    const session = await store.get(id)
    return session === undefined ? new Response('no such session', { status: 404 }) : Response.json(session)
  })
}

function storeOf(id) {
  return `sessions-${id[0]}`
}

export default {
  async fetch(request, env) {
    const [, what, id] = new URL(request.url).pathname.split('/')
    try {
      if (what === 'counter') return await counter(request, env)
      if (what === 'sessions' && (id === undefined || /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)))
        return await sessions(request, env, id)
      return new Response('not found', { status: 404 })
    } catch (error) {
      // CONFLICT: too many at once. STORAGE_UNAVAILABLE: the bucket does not answer. Both pass.
      return Response.json({ error: error.code ?? error.name }, { status: error.retryable ? 503 : 500 })
    }
  },

  async scheduled(_event, env) {
    for (const name of ['counter', ...SESSION_STORES]) {
      try {
        await withStore(env, name, (store) => store.maintain({ budgetMs: 1_000 }), { create: false })
      } catch (error) {
        // The next run comes soon, and the other stores must not wait for it. A store that nobody has written is NOT_FOUND.
        if (error.code !== 'NOT_FOUND') console.warn(`maintaining ${name}: ${error.message}`)
      }
    }
  },
}
