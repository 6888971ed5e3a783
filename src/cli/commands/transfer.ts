/** The commands push and pull, which copy versions from place to place. */
import type { When } from '../../store/find.js'
import type { TransferProgress } from '../../transfer/options.js'
import { pull as pullStore, push as pushStore, type PushResult } from '../../transfer/push.js'
import {
  placeOf,
  placeOptions,
  storeCommand,
  wholeNumber,
  type AddCommand,
  type Context,
  type StoreOptions,
} from '../context.js'
import { plainJson } from '../json.js'
import { withProgress, type Progress } from '../progress.js'
import { count, size } from '../../tools/text.js'
import { whenOf } from '../when.js'

export interface TransferOptions extends StoreOptions {
  readonly at?: When
  readonly force?: true
}

interface PushOptions extends TransferOptions {
  readonly toStore?: string
  readonly toEndpoint?: string
  readonly toRegion?: string
  readonly tag?: string
  readonly keep?: number
}

interface PullOptions extends TransferOptions {
  readonly fromStore?: string
  readonly fromEndpoint?: string
  readonly fromRegion?: string
}

export const AT = ['--at <version>', 'a version, a tag or a date; the newest version when left out', whenOf] as const
export const FORCE = [
  '--force',
  'also over versions that the other side does not know; they stay in the history',
] as const

export const push: AddCommand = (program, context) => {
  storeCommand(program, 'push', 'Copy a version to another place; only what is not there yet is copied.')
    .argument('<to>', 'the folder to copy to, which is made when it does not exist, or s3://bucket/prefix')
    .option('--to-store <name>', 'the name over there; the same when left out')
    .option('--to-endpoint <url>', 'the endpoint over there; the same when left out')
    .option('--to-region <name>', 'the region over there; the same when left out')
    .option(...AT)
    .option('--tag <name>', 'tag the version over there, as a backup')
    .option('--keep <number>', 'keep only so many of the backups that push has tagged', wholeNumber)
    .option(...FORCE)
    .action(async (where: string, to: string, options: PushOptions) => {
      const { at, tag, keep, force, endpoint, region, toEndpoint = endpoint, toRegion = region } = options
      const source = await placeOf(context, where, options)
      const storage = await context.open(to, { make: true, endpoint: toEndpoint, region: toRegion })
      const target = { storage, name: options.toStore ?? source.name }
      const result = await bar(context, (onProgress) =>
        pushStore(source, target, { at, tag, keep, force, onProgress, clock: context.clock }),
      )
      await context.out.line(options.json ? plainJson(result) : textOf(result, to))
    })
}

export const pull: AddCommand = (program, context) => {
  storeCommand(program, 'pull', 'Bring a version back from another place; a program that owns the store is fenced.')
    .argument('<from>', 'the folder to copy from, or s3://bucket/prefix')
    .option('--from-store <name>', 'the name over there; the same when left out')
    .option('--from-endpoint <url>', 'the endpoint over there; the same when left out')
    .option('--from-region <name>', 'the region over there; the same when left out')
    .option(...AT)
    .option(...FORCE)
    .action(async (where: string, from: string, options: PullOptions) => {
      const { at, force, endpoint, region, fromEndpoint = endpoint, fromRegion = region } = options
      const store = options.fromStore ?? options.store
      const there = { endpoint: fromEndpoint, region: fromRegion, ...(store === undefined ? {} : { store }) }
      const remote = await placeOf(context, from, there)
      const storage = await context.open(where, { make: true, ...placeOptions(options) })
      const local = { storage, name: options.store ?? remote.name }
      const result = await bar(context, (onProgress) =>
        pullStore(local, remote, { at, force, onProgress, clock: context.clock }),
      )
      await context.out.line(options.json ? plainJson(result) : textOf(result, where))
    })
}

export function bar<T>(
  context: Context,
  act: (onProgress: ((p: TransferProgress) => void) | undefined) => Promise<T>,
): Promise<T> {
  return withProgress(context, (onProgress) =>
    act(
      onProgress &&
        (({ done, total, bytes }) => {
          const progress: Progress = { objects: done, bytes, of: total }
          onProgress(progress)
        }),
    ),
  )
}

function textOf({ version, from, copied, reused, bytes }: PushResult, to: string): string {
  if (bytes === 0) return `${to} has version ${from} already, as its version ${version}.`
  return `Version ${from} is version ${version} in ${to}: ${count(copied)} segments copied, ${count(reused)} were there, ${size(bytes)} written.`
}
