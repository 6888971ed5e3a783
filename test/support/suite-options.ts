/** The options that each suite gets; a file of their own, so that the suites need not import the list of them (suites.ts). */
import type { Storage } from 'tidemark'
import type { LossWorld } from './loss-worlds.js'
import type { Share } from './thin.js'

/** How many losses are tried. */
export interface LossShare {
  readonly ages: readonly number[]
  /** How many of the things, and of the pairs of things, that can be lost are tried at each age. */
  readonly singles: number
  readonly pairs: number
  /** How many of the acts are tried after a single loss; after a double one it is one. */
  readonly acts: number
  /** How many are tried of the things that a fork can lose, or a store beneath its owner. */
  readonly others: number
}

export interface SuiteOptions {
  readonly test: (name: string, run: () => Promise<void>) => unknown
  /** A storage that is fresh and empty; called within a test. */
  readonly make: () => Storage
  /** The share of the cut points that is run. */
  readonly share: Share
  /** The share of the losses that is tried. */
  readonly loss: LossShare
  /** Where single objects, or files, can be lost. Default: on what `make` makes, as objects. */
  readonly world?: (() => LossWorld) | undefined
}
