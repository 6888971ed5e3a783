/**
 * The connection that hears notifications: one that the Pool lends for as long as a channel is open, or the Client, or PGlite.
 *
 * - Channels are opened and closed in order, by comparing what is listened to with what is wanted. A connection that is lost is
 *   replaced, after a while that grows. What was told meanwhile is not known, so that all count as told then.
 * - It waits without asking: an idle store sends nothing. It keeps no process alive.
 * - A Pool of one connection has none to lend.
 */
import { serial } from '../../src/async.js'
import { systemClock } from '../../src/clock.js'
import {
  Failure,
  isConnection,
  isEmbedded,
  isPool,
  isRefusal,
  lineOf,
  send,
  unheard,
  type PgConnection,
  type PostgresClient,
} from './client.js'

type Heard = (message: string) => void

/** A connection that listens. */
interface Ear {
  /** The channels that it listens to. */
  readonly channels: Set<string>
  listen(channel: string): Promise<unknown>
  unlisten(channel: string): Promise<unknown>
  query(text: string, values: unknown[]): Promise<readonly unknown[]>
  close(): void
}

const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 30_000
/** No handle has this id. */
const NOBODY = ''

/** All storages on one client share its listener. */
const listeners = new WeakMap<PostgresClient, Listener>()

export function listenerOf(client: PostgresClient): Listener {
  const listener = listeners.get(client) ?? new Listener(client)
  listeners.set(client, listener)
  return listener
}

export class Listener {
  readonly #client: PostgresClient
  readonly #wanted = new Map<string, Set<Heard>>()
  readonly #inOrder = serial()
  /** Keys under which somebody here acts. A lock of the server does not keep those of one connection apart. */
  readonly #acting = new Set<bigint>()
  #ear: Ear | undefined
  #pauseMs = FIRST_PAUSE_MS
  #cancel: (() => void) | undefined

  constructor(client: PostgresClient) {
    this.#client = client
  }

  /** Returns what ends it. */
  listen(channel: string, heard: Heard): () => void {
    const all = this.#wanted.get(channel) ?? new Set()
    this.#wanted.set(channel, all.add(heard))
    this.#adjust()
    return () => {
      all.delete(heard)
      if (all.size === 0 && this.#wanted.get(channel) === all) this.#wanted.delete(channel)
      this.#adjust()
    }
  }

  /** Runs `act` unless somebody acts under this key, here or elsewhere. */
  async alone<T>(key: bigint, act: () => Promise<T>): Promise<T | undefined> {
    if (this.#acting.has(key)) return undefined
    this.#acting.add(key)
    const ear = this.#ear
    const isTaken = await lock(ear, key)
    try {
      return isTaken === false ? undefined : await act()
    } finally {
      this.#acting.delete(key)
      if (isTaken) ear?.query('select pg_advisory_unlock($1::bigint)', [String(key)]).catch(unheard)
    }
  }

  #adjust(): void {
    void this.#inOrder(async () => {
      try {
        await this.#listenToAll()
        this.#pauseMs = FIRST_PAUSE_MS
      } catch (error) {
        this.#lost(this.#ear, mayPass(error))
      }
    })
  }

  async #listenToAll(): Promise<void> {
    if (this.#wanted.size === 0) {
      const ear = this.#ear
      this.#ear = undefined
      this.#cancel?.()
      for (const channel of ear?.channels ?? []) await ear!.unlisten(channel)
      ear?.close()
      return
    }
    const ear = (this.#ear ??= await this.#open())
    if (ear === undefined) return
    for (const channel of ear.channels) {
      if (this.#wanted.has(channel)) continue
      ear.channels.delete(channel)
      await ear.unlisten(channel)
    }
    for (const channel of this.#wanted.keys()) {
      if (ear.channels.has(channel)) continue
      await ear.listen(channel)
      ear.channels.add(channel)
      // What was told before has gone unheard.
      this.#hear(channel, NOBODY)
    }
  }

  #hear(channel: string, message: string): void {
    for (const heard of this.#wanted.get(channel) ?? []) heard(message)
  }

  /** A connection that is gone is replaced, as long as somebody listens. */
  #lost(ear: Ear | undefined, again = true): void {
    if (ear !== this.#ear) return
    this.#ear = undefined
    ear?.close()
    this.#cancel?.()
    if (this.#wanted.size === 0 || !again) return
    this.#cancel = systemClock.timer(this.#pauseMs, () => this.#adjust(), { background: true })
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS)
  }

  async #open(): Promise<Ear | undefined> {
    const client = this.#client
    const own: Ear['query'] = (text, values) => send(lineOf(client), text, values, undefined)
    if (isPool(client)) {
      if ((client.options?.max ?? 2) < 2) return undefined
      const connection = await client.connect()
      connection.unref?.()
      const inOrder = serial()
      const query: Ear['query'] = (text, values) => inOrder(async () => (await connection.query(text, values)).rows)
      return this.#over(connection, query, () => connection.release(true))
    }
    if (isEmbedded(client)) {
      const endings = new Map<string, () => Promise<void>>()
      return {
        channels: new Set(),
        listen: async (name) => endings.set(name, await client.listen(name, (message) => this.#hear(name, message))),
        unlisten: async (name) => endings.get(name)?.(),
        query: own,
        close() {},
      }
    }
    return isConnection(client) ? this.#over(client, own, unheard) : undefined
  }

  #over(connection: PgConnection, query: Ear['query'], giveBack: () => void): Ear {
    let isOpen = true
    const hear: Parameters<PgConnection['on']>[1] = ({ channel = '', payload = '' }) => this.#hear(channel, payload)
    const end = (): void => this.#lost(ear)
    connection.on('notification', hear)
    connection.on('error', end)
    connection.on('end', end)
    const ear: Ear = {
      channels: new Set(),
      listen: (name) => query(`listen "${name}"`, []),
      unlisten: (name) => query(`unlisten "${name}"`, []),
      query,
      close() {
        if (!isOpen) return
        isOpen = false
        connection.removeListener('notification', hear)
        connection.removeListener('end', end)
        connection.on('error', unheard)
        connection.removeListener('error', end)
        giveBack()
      },
    }
    return ear
  }
}

/** A server that refuses to be listened to, such as a standby, would do so again. */
function mayPass(error: unknown): boolean {
  return !isRefusal(error instanceof Failure ? error.cause : error)
}

/** Takes a lock of the server, for as long as the connection lasts; undefined when there is none to take. */
async function lock(ear: Ear | undefined, key: bigint): Promise<boolean | undefined> {
  try {
    const rows = await ear?.query('select pg_try_advisory_lock($1::bigint) as taken', [String(key)])
    return (rows?.[0] as { readonly taken?: boolean } | undefined)?.taken
  } catch {
    return undefined
  }
}
