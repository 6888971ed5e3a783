/**
 * Sessions and a counter in a Durable Object: one object for each host, with one store that all its requests use.
 *
 * The object opens the store when it wakes, and keeps it. A commit goes nowhere beyond the object, so that it takes a few
 * milliseconds, and requests at once share one. An object that is given up in between has what it has answered.
 *
 *     GET  /visits      says how often this visitor was here, by a cookie    { visits }
 *     POST /sign-out    ends the session
 *     POST /counter     adds 1; GET reads it                                 { count }
 */
import { Hono } from 'hono'
import { openStore } from 'tidemark'
import { durableObject } from 'tidemark/durable-object'
import { honoSession } from 'tidemark/session'

const HALF_AN_HOUR = 30 * 60_000
/** Small, as an isolate has 128 MiB for all of its objects. */
const SIZES = { cacheBytes: 4 << 20, maxUncommittedBytes: 1 << 20, segmentBytes: 1 << 20 }

export class Site {
  constructor(ctx, env) {
    // No request comes in before the store is open.
    ctx.blockConcurrencyWhile(async () => {
      const store = await openStore({ storage: durableObject(ctx.storage), name: 'site', ...SIZES })
      this.app = appOn(store, Number(env.SESSION_MS ?? HALF_AN_HOUR))
    })
  }

  fetch(request) {
    return this.app.fetch(request)
  }
}

function appOn(store, ttlMs) {
  const app = new Hono()
  app.use(honoSession(store, { ttlMs }))
  app.get('/visits', (c) => {
    const session = c.get('session')
    session.set('visits', (session.get('visits') ?? 0) + 1)
    return c.json({ visits: session.get('visits') })
  })
  app.post('/sign-out', (c) => {
    c.get('session').destroy()
    return c.body(null, 204)
  })
  app.get('/counter', async (c) => c.json({ count: (await store.get('count')) ?? 0 }))
  // However many do it at once, each counts.
  app.post('/counter', async (c) => c.json({ count: await store.update('count', (n = 0) => n + 1) }))
  app.onError((error, c) => c.json({ error: error.code ?? error.name }, error.retryable ? 503 : 500))
  return app
}

export default {
  fetch(request, env) {
    return env.SITE.get(env.SITE.idFromName(new URL(request.url).hostname)).fetch(request)
  },
}
