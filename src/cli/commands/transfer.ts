/** Copies, backups and archives. */
import { createWriteStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { TidemarkError, invalid } from '../../errors.js'
import type { When } from '../../store/find.js'
import { exportZip } from '../../transfer/export.js'
import { importZip } from '../../transfer/import.js'
import type { TransferProgress } from '../../transfer/options.js'
import { pull as pullStore, push as pushStore, type PushResult } from '../../transfer/push.js'
import {
  placeOptions,
  storeCommand,
  wholeNumber,
  type AddCommand,
  type Context,
  type StoreOptions,
} from '../context.js'
import { plainJson } from '../json.js'
import { withProgress, type Progress } from '../progress.js'
import { count, size } from '../text.js'
import { whenOf } from '../when.js'
import { onlyStore } from '../where.js'

interface TransferOptions extends StoreOptions {
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

const AT = ['--at <version>', 'a version, a tag or a date; the newest version when left out', whenOf] as const
const FORCE = ['--force', 'also over versions that the other side does not know; they stay in the history'] as const

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

export const exportStore: AddCommand = (program, context) => {
  storeCommand(program, 'export', 'Write a version into a zip archive.')
    .argument('<file>', 'the archive to write')
    .option(...AT)
    .option('--force', 'replace the file when it exists')
    .action(async (where: string, file: string, options: TransferOptions) => {
      const place = await placeOf(context, where, options)
      const path = resolve(context.cwd, file)
      if (!options.force && (await stat(path).catch(() => undefined))) {
        throw invalid(`${file} exists already; choose another name, or replace it with --force.`)
      }
      // Under another name until all of it is there.
      const partial = `${path}.partial`
      try {
        await bar(context, (onProgress) => {
          const zip = exportZip(place, { at: options.at, onProgress, clock: context.clock })
          return pipeline(Readable.from(zip), createWriteStream(partial))
        })
        await rename(partial, path)
      } catch (error) {
        await rm(partial, { force: true })
        throw fileError(error, file)
      }
      const { size: bytes } = await stat(path)
      const text = `${file} holds store "${place.name}", ${size(bytes)}.`
      await context.out.line(options.json ? plainJson({ store: place.name, file, bytes }) : text)
    })
}

export const importStore: AddCommand = (program, context) => {
  storeCommand(program, 'import', 'Make the version of a zip archive the newest version of a store.')
    .argument('<file>', 'the archive to read')
    .option(...FORCE)
    .action(async (where: string, file: string, options: TransferOptions) => {
      const storage = await context.open(where, { make: true, ...placeOptions(options) })
      const name = options.store ?? (await onlyStore(storage, where).catch(needsName))
      const handle = await open(resolve(context.cwd, file)).catch((error: unknown) => {
        throw fileError(error, file)
      })
      const { force } = options
      try {
        const result = await bar(context, (onProgress) =>
          importZip(handle.createReadStream(), { storage, name }, { force, onProgress, clock: context.clock }),
        )
        await context.out.line(options.json ? plainJson(result) : textOf(result, where))
      } finally {
        await handle.close()
      }
    })
}

async function placeOf(context: Context, where: string, options: StoreOptions) {
  const storage = await context.open(where, placeOptions(options))
  return { storage, name: options.store ?? (await onlyStore(storage, where)) }
}

function needsName(error: unknown): never {
  if (error instanceof TidemarkError && error.code === 'NOT_FOUND') {
    throw invalid('There is no store yet; say with --store what it is to be called.')
  }
  throw error
}

/** What the file system says of the archive itself. */
function fileError(error: unknown, file: string): unknown {
  const { code } = error as { code?: unknown }
  if (error instanceof TidemarkError || typeof code !== 'string') return error
  if (code === 'ENOENT') return new TidemarkError('NOT_FOUND', `There is no ${file}; check the path.`, { cause: error })
  return new TidemarkError('STORAGE_UNAVAILABLE', `${file} cannot be used: ${(error as Error).message}.`, {
    cause: error,
  })
}

function bar<T>(
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
