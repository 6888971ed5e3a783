/**
 * Reaches other handles: those on this storage in the program, and all others by NOTIFY.
 *
 * - An entry brings its notification along, in its own statement. So a commit is one, and whoever is told finds it there.
 * - A channel is named by the hash of what it is about, as names of channels are short. The message is the id of the sender.
 * - Advisory locks share out folding. Whoever can't take one folds all the same.
 */
import { toHex } from '../../src/bytes/hex.js'
import { systemClock } from '../../src/clock.js'
import type { Peers } from '../../src/storage/contract.js'
import { md5 } from '../s3-common/md5.js'
import { unheard } from './client.js'
import type { Listener } from './listener.js'
import type { Place } from './statements.js'

/** What goes along with an entry. */
export interface Remote {
  /** The channel and the message for an entry of this shard; undefined when no handle here takes part. */
  messageOn(path: string): readonly [channel: string, message: string] | undefined
  /** An entry with that message was committed. */
  sentOn(path: string): void
}

/** `notify` sends a message by itself. */
export function peersOn(
  listener: Listener,
  { schema = '', prefix }: Place,
  notify: (channel: string, message: string) => Promise<unknown>,
): { readonly peers: Peers; readonly remote: Remote } {
  const id = toHex(systemClock.random(8))
  const hashOf = (path: string): string => toHex(md5(new TextEncoder().encode(`${schema}.${prefix}.${path}`)))
  const channelOf = (path: string): string => `tidemark_${hashOf(path)}`
  /** Channels that are open here, by path. */
  const open = new Map<string, Set<() => void>>()
  /** Paths of which an entry has told others, and not yet those here. */
  const sent = new Set<string>()

  const peers: Peers = {
    channel(path, heard) {
      // Two channels may have one function.
      const own = (): void => heard()
      const here = open.get(path) ?? new Set()
      open.set(path, here.add(own))
      const channel = channelOf(path)
      const stop = listener.listen(channel, (message) => {
        if (message !== id) heard()
      })
      return {
        tell() {
          if (!sent.delete(path)) notify(channel, id).catch(unheard)
          for (const other of here) if (other !== own) other()
        },
        close() {
          stop()
          here.delete(own)
          if (here.size === 0 && open.get(path) === here) open.delete(path)
        },
      }
    },
    alone: (path, act) => listener.alone(BigInt.asIntN(64, BigInt(`0x${hashOf(path).slice(0, 16)}`)), act),
  }
  const remote: Remote = {
    messageOn: (path) => (open.has(path) ? [channelOf(path), id] : undefined),
    sentOn: (path) => void sent.add(path),
  }
  return { peers, remote }
}
