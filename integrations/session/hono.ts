/** A middleware of Hono that gives each request its session. It has the shape that Hono asks for, and imports nothing. */
import { systemClock } from '../../src/index.js'
import type { Backing } from '../common/backing.js'
import { checkOptions, flag, type Rules } from '../common/options.js'
import { rules as sessionRules, Sessions, type SessionOptions } from './sessions.js'

/** Options of `honoSession`. */
export interface HonoSessionOptions extends SessionOptions {
  /**
   * The name of the cookie that holds the id of the session.
   * @default 'sid'
   * @when Set it when another app of the host has a cookie of that name.
   */
  readonly cookie?: string | undefined
  /**
   * The path of the cookie.
   * @default '/'
   * @when Set it when the app has only a part of the host.
   */
  readonly path?: string | undefined
  /**
   * The domain of the cookie.
   * @default the host of the request
   * @when Set it when several hosts of a domain share the sessions.
   */
  readonly domain?: string | undefined
  /**
   * Whether other sites' requests carry the cookie.
   * @default 'Lax'
   * @when Set `Strict` when nobody comes by links from elsewhere, `None` for an app inside of another site's pages.
   */
  readonly sameSite?: 'Strict' | 'Lax' | 'None' | undefined
  /**
   * Whether the cookie goes over https alone.
   * @default whether the request came over https
   * @when Set `true` behind a proxy that ends https.
   */
  readonly secure?: boolean | undefined
}

const matching = (pattern: RegExp) => (given: unknown) => typeof given === 'string' && pattern.test(given)
/** A cookie takes no other letters; what is not refused here would add to its attributes. */
const rules: Rules<HonoSessionOptions> = {
  ...sessionRules,
  cookie: ["a name of ASCII letters, digits and !#$%&'*+-.^_`|~", matching(/^[\w!#$%&'*+.^`|~-]+$/)],
  path: ['a path that begins with "/", of ASCII without spaces and ";",', matching(/^\/[!-:<-~]*$/)],
  domain: ['the name of a host', matching(/^[\w.-]+$/)],
  sameSite: ['"Strict", "Lax" or "None"', matching(/^(Strict|Lax|None)$/)],
  secure: flag,
}

/** What the middleware uses of a context of Hono. */
export interface HonoContext {
  readonly req: { readonly url: string; header(name: string): string | undefined }
  header(name: string, value: string, options: { append: boolean }): void
  set(key: never, value: never): void
}

/** The middleware that `honoSession` makes. */
export interface HonoSessionMiddleware {
  (c: HonoContext, next: () => Promise<void>): Promise<void>
  /** Closes a store that was opened here. */
  close(): Promise<void>
}

/** For `new Hono<{ Variables: HonoSessionVariables }>()`: then `c.get('session')` has a type. */
export interface HonoSessionVariables {
  session: HonoSession
}

type Data = Record<string, unknown>

/**
 * The session of a request: `c.get('session')`. What is set is saved when the handlers are done, before the answer goes out,
 * and field by field: requests at once that set different fields of a session keep both. A session that nobody sets anything
 * in is not kept, and gets no cookie.
 */
export class HonoSession {
  #id: string
  #data: Data
  readonly #changes: Data = Object.create(null) as Data
  readonly #before: string | undefined
  #isDestroyed = false

  /** @internal */
  constructor(id: string | undefined, data: Data) {
    this.#before = id
    this.#id = id ?? newId()
    this.#data = data
  }

  /** Its id, which nobody can guess. */
  get id(): string {
    return this.#id
  }

  /** A field; `undefined` when it is not set. */
  get<T = unknown>(field: string): T | undefined {
    return Object.hasOwn(this.#data, field) ? (this.#data[field] as T) : undefined
  }

  /** Sets a field to anything that the store keeps, Dates, Maps, Sets and bytes among it; `undefined` removes it. */
  set(field: string, value: unknown): void {
    this.#changes[field] = value
    this.#data = merge(this.#data, { [field]: value })
  }

  /** Gives the session another id, and keeps its data: after signing in, so that an id from before is worth nothing. */
  regenerate(): void {
    this.#id = newId()
  }

  /** Ends the session, and removes its data. */
  destroy(): void {
    this.#isDestroyed = true
    this.#data = {}
  }

  /**
   * @returns how long the cookie is to live: `undefined` when it is to stay as it is
   * @internal
   */
  async save(sessions: Sessions<Data>): Promise<number | undefined> {
    const { ttlMs } = sessions
    const before = this.#before
    if (this.#isDestroyed) {
      if (before !== undefined) await sessions.remove(before)
      return before === undefined ? undefined : 0
    }
    const changes = this.#changes
    const isChanged = Object.keys(changes).length > 0
    if (before === undefined) {
      if (!isChanged) return undefined
      await sessions.save(this.#id, this.#data, ttlMs)
    } else if (this.#id !== before) {
      const isThere = await sessions.transact(async (table) => {
        // Others may have changed it since it was read, or ended it.
        const now = await table.get(before)
        table.delete(before)
        if (now) table.put(this.#id, merge(now, changes), { ttlMs })
        return now !== undefined
      })
      if (!isThere) return undefined
    } else if (isChanged) {
      const after = await sessions.run((table) => table.update(before, (now) => now && merge(now, changes), { ttlMs }))
      if (!after) return undefined
    } else {
      // One that is only read is written once in half of its time.
      const left = await sessions.run((table) => table.ttl(before))
      if (left === undefined || left > ttlMs / 2) return undefined
      await sessions.touch(before, ttlMs)
    }
    return ttlMs
  }
}

/**
 * A middleware that gives each request its session, kept in a table of a store and known by a cookie.
 *
 * @param store an open store, or the options of `openStore()`: then the store is opened at the first request
 * @throws `INVALID_ARGUMENT` when it is neither, or an option is wrong
 * @example
 *     app.use(honoSession({ storage: nodeFs('./state'), name: 'web' }))
 *     app.get('/', (c) => c.text(`Hello ${c.get('session').get('name')}`))
 */
export function honoSession(store: Backing, options: HonoSessionOptions = {}): HonoSessionMiddleware {
  const { cookie = 'sid', path = '/', domain, sameSite = 'Lax', secure } = checkOptions('honoSession', options, rules)
  const sessions = new Sessions<Data>(store, options)
  const middleware = async (c: HonoContext, next: () => Promise<void>): Promise<void> => {
    const id = readCookie(c.req.header('Cookie'), cookie)
    const data = id && (await sessions.read(id))
    // An id that nobody has given out is not taken over.
    const session = new HonoSession(data ? id : undefined, data || {})
    c.set('session' as never, session as never)
    await next()
    const ttlMs = await session.save(sessions)
    if (ttlMs === undefined) return
    const parts = [`${cookie}=${ttlMs > 0 ? session.id : ''}`, `Max-Age=${Math.floor(ttlMs / 1000)}`, `Path=${path}`]
    if (domain !== undefined) parts.push(`Domain=${domain}`)
    if (secure ?? c.req.url.startsWith('https:')) parts.push('Secure')
    parts.push('HttpOnly', `SameSite=${sameSite}`)
    c.header('Set-Cookie', parts.join('; '), { append: true })
  }
  return Object.assign(middleware, { close: () => sessions.close() })
}

function merge(data: Data, changes: Data): Data {
  return Object.fromEntries(Object.entries({ ...data, ...changes }).filter(([, value]) => value !== undefined))
}

function readCookie(header: string | undefined, name: string): string | undefined {
  const found = header?.split(';').find((part) => part.trim().startsWith(`${name}=`))
  return found && found.slice(found.indexOf('=') + 1).trim()
}

/** 192 random bits. */
function newId(): string {
  return Array.from(systemClock.random(24), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
