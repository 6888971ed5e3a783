/**
 * Thinned versions: the newest one of an hour or a day, which a pin keeps once the log has let go of it. The pin is a tag by a
 * name that no program can give, and its label says what versions() shows of an entry that is gone (docs/format.md, "Pins").
 */
import { corrupt } from '../../errors.js'
import type { Pin } from '../../log/pin.js'
import type { EntryHead } from '../state.js'
import { isOver } from './pins.js'

/** A name that a program gives has a letter (`checkTagName`). */
export const THINNED = '-'

/** The facts of a version that only its entry has. */
export interface VersionFacts {
  readonly kind: 'commit' | 'reset'
  readonly label: string | undefined
  /** JSON text. */
  readonly meta: string | undefined
  /** Bytes of its changes. */
  readonly bytes: number
  /** Whether its entry carried a manifest. */
  readonly folded: boolean
}

export function isThinned({ kind, name }: Pin): boolean {
  return kind === 'tag' && name === THINNED
}

/** Whether the pin is a tag that somebody made, and that has not ended. */
export function isTag(pin: Pin, now: number): boolean {
  return pin.kind === 'tag' && pin.name !== THINNED && !isOver(pin, now)
}

/** `undefined` for an entry that is no version. */
export function factsOf({ entry, references }: EntryHead): VersionFacts | undefined {
  const { kind, label, meta, delta, manifest } = entry
  if (kind !== 'commit' && kind !== 'reset') return undefined
  const bytes = (references?.runs.flat() ?? []).reduce((sum, { length }) => sum + length, delta?.length ?? 0)
  return { kind, label, meta, bytes, folded: manifest !== undefined }
}

/** The label of a thinned version's pin. */
export function encodeFacts(facts: VersionFacts): string {
  return JSON.stringify(facts)
}

/** Throws `CORRUPT` when the label of a thinned version's pin is none. */
export function factsOfPin({ label: text = '' }: Pin, blob: string): VersionFacts {
  const fail = (cause?: unknown): never => {
    throw corrupt(`Pin ${blob} is damaged: its label says nothing of its version.`, cause)
  }
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch (cause) {
    fail(cause)
  }
  const { kind, label, meta, bytes, folded } = Object(found) as Partial<VersionFacts>
  const areTexts = [label, meta].every((part) => part === undefined || typeof part === 'string')
  if ((kind !== 'commit' && kind !== 'reset') || !areTexts || typeof bytes !== 'number') return fail()
  return { kind, label, meta, bytes, folded: folded === true }
}
