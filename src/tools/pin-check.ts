/** Checks the pins of a log: that they can be read, name segments that are there, and keep the version that they say. */
import { equalBytes } from '../bytes/compare.js'
import { isDamage, corrupt } from '../errors.js'
import { decodePin } from '../log/pin.js'
import { idOfBlob, pinsPrefix } from '../manifest/listed-names.js'
import { checkLogPath, checkStoreName } from '../manifest/names.js'
import { isOver, listPinNames, readPin, stateOfPin, type StoredPin } from '../engine/history/pins.js'
import { factsOfPin, isTag, isThinned } from '../engine/history/thinned.js'
import { targetOfHold } from '../engine/shards/taken.js'
import type { AppliedEntry, ShardState } from '../engine/state.js'
import type { Storage } from '../storage/contract.js'
import { platformOf } from '../storage/platform.js'
import type { Findings } from './findings.js'
import { checkMemtable, offsetBytes } from './log-check.js'

export interface ReadPin {
  readonly pin: StoredPin
  readonly state: ShardState
}

/** The pins of several logs, as far as they can be read. */
export class PinShelf {
  readonly #storage: Storage
  readonly #logs = new Map<string, Promise<StoredPin[]>>()

  constructor(storage: Storage) {
    this.#storage = storage
  }

  of(logPath: string): Promise<readonly StoredPin[]> {
    let pins = this.#logs.get(logPath)
    if (pins === undefined) {
      pins = this.#read(logPath)
      this.#logs.set(logPath, pins)
    }
    return pins
  }

  async #read(logPath: string): Promise<StoredPin[]> {
    const pins: StoredPin[] = []
    for (const name of await listPinNames(this.#storage.blobs, logPath)) {
      try {
        const pin = await readPin(this.#storage.blobs, name)
        if (pin) pins.push(pin)
      } catch (error) {
        // The damage of another store's pin is reported when that store is verified.
        if (!isDamage(error)) throw error
      }
    }
    return pins
  }
}

/** Reads the pins among the blobs of a store, and checks each by itself. */
export async function readPins(
  storage: Storage,
  logPath: string,
  names: readonly string[],
  findings: Findings,
): Promise<ReadPin[]> {
  const { blobs } = storage
  const platform = platformOf(storage)
  const pins: ReadPin[] = []
  const prefix = pinsPrefix(logPath)
  for (const blob of names.filter((name) => idOfBlob(prefix, name))) {
    await findings.try(blob, async () => {
      const { bytes } = await blobs.get(blob)
      // The pin was removed while others were read. untag() leaves no trace in the log.
      if (bytes === undefined) return
      findings.count(bytes)
      const pin = { ...decodePin(bytes, `Pin ${blob}`), blob }
      const state = await stateOfPin(platform, pin, logPath)
      checkPin(pin, state)
      pins.push({ pin, state })
    })
    await findings.pause()
  }
  return pins
}

function checkPin(pin: StoredPin, state: ShardState): void {
  const { kind, name, blob, made, expires, version } = pin
  const fail = (problem: string): never => {
    throw corrupt(`Pin ${blob} is damaged: ${problem}.`)
  }
  if (kind === 'fork') checkLogPath(name)
  else if (kind === 'hold') {
    if (targetOfHold(name) === undefined) fail('it holds for no entry')
  } else {
    try {
      checkStoreName(name)
    } catch {
      fail('its tag has an impossible name')
    }
  }
  if (isThinned(pin)) factsOfPin(pin, blob)
  if (expires > 0 && expires <= made) fail('it ends before it begins')
  if (version < 1 || state.manifest.covers !== version - 1) fail('its manifest is not that of its version')
  const { partitions } = state.manifest.config
  for (const { memtable } of state.tail) if (memtable) checkMemtable(memtable, partitions, fail)
}

/** Throws `CORRUPT` unless the pin fits the entry of its version. */
export function checkPinned({ pin, state }: ReadPin, { entry, hash }: Pick<AppliedEntry, 'entry' | 'hash'>): void {
  const fail = (problem: string): never => {
    throw corrupt(`Pin ${pin.blob} is damaged: ${problem}.`)
  }
  if (!equalBytes(pin.hash, hash)) fail(`entry ${pin.version} has another hash than it says`)
  if (entry.kind !== 'commit' && entry.kind !== 'reset') fail(`entry ${pin.version} is no version`)
  const { carried } = entry
  if (carried === undefined) return
  if (carried.versionTime !== pin.versionTime) fail('it gives its version another time')
  const [ours, theirs] = [offsetBytes(state.carried), offsetBytes(carried)]
  if (!equalBytes(ours, theirs)) fail('its offsets are not those of its version')
}

/** The names of the tags that are in force, and of the forks that hold something. */
export function namesOf(pins: readonly ReadPin[], now: number): { tags: string[]; forks: string[] } {
  const names = (counts: (pin: StoredPin) => boolean): string[] =>
    pins.flatMap(({ pin }) => (counts(pin) ? [pin.name] : []))
  const forks = names((pin) => pin.kind === 'fork' && !isOver(pin, now))
  const sorted = (all: string[]): string[] => [...new Set(all)].sort()
  const tags = names((pin) => isTag(pin, now))
  return { tags: sorted(tags), forks: sorted(forks.map((path) => path.slice(0, path.indexOf('/')))) }
}
