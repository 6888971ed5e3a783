/** The context of every command, and the options that most of them share: those that name a store, a table and keys. */
import type { Readable, Writable } from 'node:stream'
import { type Command, InvalidArgumentError } from 'commander'
import type { Clock } from '../clock.js'
import { isTidemarkError } from '../errors.js'
import type { Storage } from '../storage/contract.js'
import type { OpenOptions } from '../store/open-options.js'
import { openStore } from '../store/open.js'
import type { Store } from '../store/store.js'
import { storedBytes } from '../store/table-spec.js'
import type { StorePlace } from '../tools/place.js'
import { listShards, wasSplit, type ShardLog } from '../tools/family.js'
import type { Output } from './output.js'
import { chooseStore, type StoreLine } from './choose.js'
import type { Page } from './grid.js'
import type { PlaceOptions } from './where.js'

/**
 * The surroundings of a command. They are a page as well: tables are as wide as stdout, and coloured where that is a terminal.
 */
export interface Context extends Page {
  readonly out: Output
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable & { readonly isTTY?: boolean }
  /** Says something on stderr, to people and with --json alike. */
  readonly note: (message: string) => void
  readonly open: (where: string, options?: PlaceOptions) => Promise<Storage> | Storage
  readonly cwd: string
  /** The place for a progress bar: stderr, when it is a terminal and not a program reads it. */
  readonly terminal: NodeJS.WritableStream | undefined
  readonly clock: Clock
  /** Ends a command that goes on until it is interrupted. */
  readonly signal: AbortSignal | undefined
}

/** Adds a command to the program. */
export type AddCommand = (program: Command, context: Context) => void

export interface StoreOptions extends Pick<PlaceOptions, 'endpoint' | 'region'> {
  readonly store?: string
  readonly json?: true
  /** Of a command that writes. */
  readonly force?: true
}

/** A command whose first argument is a place. */
export function placeCommand(program: Command, name: string, summary: string): Command {
  return program
    .command(name)
    .description(summary)
    .showHelpAfterError(`Run "tidemark ${name} --help" to see what it takes.`)
    .argument('<where>', 'the folder that holds the store, or s3://bucket/prefix')
    .option(
      '--endpoint <url>',
      'for s3://: a storage other than AWS, addressed by paths; AWS_ENDPOINT_URL when left out',
    )
    .option('--region <name>', 'for s3://: its region; that of the AWS environment or profile when left out')
    .option('--json', 'print JSON for programs')
}

/** A command whose first argument is the place of a store. */
export function storeCommand(program: Command, name: string, summary: string): Command {
  return placeCommand(program, name, summary).option(
    '--store <name>',
    'which store, when there are several; the oldest that is no fork when left out',
  )
}

/** Adds the option that names a shard to a command that is about a whole store otherwise. */
export function shardOption(command: Command): Command {
  return command.option(
    '--partition <number>',
    'of a store that was split: only the shard that has this partition',
    wholeNumber,
  )
}

export interface ShardOption {
  readonly partition?: number
}

/** A command that writes. */
export function writerCommand(program: Command, name: string, summary: string): Command {
  return fencingCommand(program, name, summary).option(
    '--force',
    'also where a member of a group owns what is written: it is fenced',
  )
}

/** A command after which the owner has to open the store again. */
export function fencingCommand(program: Command, name: string, summary: string): Command {
  return storeCommand(program, name, summary).summary(summary).description(`${summary}

A program that owns the store at this moment is fenced, and has to reopen it; writers in shared mode go on.`)
}

/** The options of a command that say how its place is reached. */
export function placeOptions({ endpoint, region }: StoreOptions): PlaceOptions {
  return { endpoint, region }
}

/** Opens the store to read it, beside whoever writes it, and closes it afterwards. Nothing is ever written. */
export function withStore(
  context: Context,
  where: string,
  options: StoreOptions,
  use: (store: Store, stores: readonly StoreLine[]) => Promise<void>,
  more: Pick<OpenOptions, 'retain' | 'graceMs' | 'followMs' | 'shard'> = {},
): Promise<void> {
  return opened(context, where, options, { mode: 'follower', ...more }, use)
}

const ALL = Number.MAX_SAFE_INTEGER
const KEEP_ALL: Pick<OpenOptions, 'retain'> = { retain: { versions: ALL, hourly: ALL, daily: ALL } }

/** Opens the store to write it, in its recorded mode. It collects nothing unless told to: retention is the owner's to say. */
export function withWriter(
  context: Context,
  where: string,
  options: StoreOptions,
  use: (store: Store) => Promise<void>,
  given: Pick<OpenOptions, 'retain' | 'graceMs' | 'shard'> = {},
): Promise<void> {
  const more = { ...KEEP_ALL, ...given }
  let isOpen = false
  const used = (store: Store): Promise<void> => {
    isOpen = true
    return use(store)
  }
  return opened(context, where, options, { mode: 'exclusive', ...more }, used).catch((error: unknown) => {
    // The recorded mode is checked before anything is taken over, so that another try does no harm.
    if (isOpen || !isTidemarkError(error) || error.code !== 'CONFLICT') throw error
    return opened(context, where, options, { mode: 'shared', ...more }, used).catch((again: unknown) => {
      // In neither mode, as a member of a group owns it.
      if (isOpen || !options.force || !isTidemarkError(again) || again.code !== 'CONFLICT') throw again
      return opened(context, where, options, { mode: 'exclusive', force: true, ...more }, use)
    })
  })
}

async function opened(
  context: Context,
  where: string,
  options: StoreOptions,
  more: Pick<OpenOptions, 'mode' | 'force' | 'retain' | 'graceMs' | 'followMs' | 'shard'>,
  use: (store: Store, stores: readonly StoreLine[]) => Promise<void>,
): Promise<void> {
  const storage = await context.open(where, placeOptions(options))
  const { name, stores } = await nameIn(context, storage, where, options)
  const logger = { warn: (message: string) => context.note(message) }
  const { clock } = context
  const store = await openStore({ storage, name, create: false, codec: storedBytes, logger, clock, ...more })
  try {
    await use(store, stores)
  } finally {
    await store.close()
  }
}

/** The store that is meant. When others could be meant as well, its name is told. */
async function nameIn(
  context: Context,
  storage: Storage,
  where: string,
  options: StoreOptions,
): Promise<{ name: string; stores: readonly StoreLine[] }> {
  if (options.store !== undefined) return { name: options.store, stores: [] }
  const chosen = await chooseStore(storage, where, context.clock)
  if (chosen.stores.filter(({ parent }) => parent === null).length > 1) {
    context.note(
      `This is about "${chosen.name}", the oldest of ${chosen.stores.length} stores; --store names another one.`,
    )
  }
  return chosen
}

/** A place, and the store in it that is meant. */
export async function placeOf(
  context: Context,
  where: string,
  options: StoreOptions,
): Promise<{ storage: Storage; name: string }> {
  const storage = await context.open(where, placeOptions(options))
  return { storage, name: (await nameIn(context, storage, where, options)).name }
}

/** The store that is meant, and its shards when it has several. */
export async function shardsIn(
  context: Context,
  where: string,
  options: StoreOptions,
): Promise<StorePlace & { readonly shards: readonly ShardLog[] | undefined }> {
  const place = await placeOf(context, where, options)
  const shards = (await wasSplit(place)) ? await listShards(place) : []
  return { ...place, shards: shards.length > 1 ? shards : undefined }
}

/** The parser of an option that takes a whole number. */
export function wholeNumber(text: string): number {
  const n = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(n)) throw new InvalidArgumentError('A whole number is expected.')
  return n
}
