/** The commands export and import, of files and of streams. */
import { createWriteStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { toHex } from '../../bytes/hex.js'
import { systemClock } from '../../clock.js'
import { TidemarkError, invalid } from '../../errors.js'
import { exportZip } from '../../transfer/export.js'
import { importZip, type ImportResult } from '../../transfer/import.js'
import { placeOf, placeOptions, storeCommand, type AddCommand, type Context } from '../context.js'
import { plainJson } from '../json.js'
import { isGone, ReaderGone } from '../output.js'
import { count, size } from '../../tools/text.js'
import { pathOfFile } from '../where.js'
import { AT, bar, FORCE, type TransferOptions } from './transfer.js'

export const exportStore: AddCommand = (program, context) => {
  storeCommand(program, 'export', 'Write a version into a zip archive.')
    .argument('<file>', 'the archive to write; - writes it to stdout')
    .option(...AT)
    .option('--force', 'replace the file when it exists')
    .action(async (where: string, file: string, options: TransferOptions) => {
      const path = file === '-' ? undefined : pathOfFile(file, context.cwd)
      if (path === undefined && context.stdout.isTTY) {
        throw invalid('An archive is not for a terminal; send stdout on with > or |, or name a file.')
      }
      const place = await placeOf(context, where, options)
      if (path !== undefined && !options.force && (await stat(path).catch(() => undefined))) {
        throw invalid(`${file} exists already; choose another name, or replace it with --force.`)
      }
      const bytes = await bar(context, (onProgress) => {
        const zip = exportZip(place, { at: options.at, onProgress, clock: context.clock })
        return path === undefined ? toStdout(context, zip) : toFile(zip, path, file)
      })
      // The archive went to stdout, and nothing else may go there.
      if (path === undefined) return
      const text = `${file} holds store "${place.name}", ${size(bytes)}.`
      await context.out.line(options.json ? plainJson({ store: place.name, file, bytes }) : text)
    })
}

async function toStdout({ stdout }: Context, zip: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0
  for await (const piece of zip) {
    const error = await new Promise<Error | null | undefined>((resolve) => stdout.write(piece, resolve))
    if (error && isGone(error)) throw new ReaderGone()
    if (error) throw fileError(error, 'stdout')
    bytes += piece.length
  }
  return bytes
}

async function toFile(zip: AsyncIterable<Uint8Array>, path: string, file: string): Promise<number> {
  // The archive has another name until all of it is there. Nobody else has that name, neither another export nor a file
  // that somebody keeps.
  const partial = `${path}.${toHex(systemClock.random(8))}.partial`
  try {
    await pipeline(Readable.from(zip), createWriteStream(partial))
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw fileError(error, file)
  }
  return (await stat(path)).size
}

export const importStore: AddCommand = (program, context) => {
  storeCommand(program, 'import', 'Make the version of a zip archive the newest version of a store.')
    .argument('<file>', 'the archive to read; - reads it from stdin')
    .option(...FORCE)
    .addHelpText('after', '\nThe store gets the name that it has in the archive, unless --store gives it another one.')
    .action(async (where: string, file: string, options: TransferOptions) => {
      const path = file === '-' ? undefined : pathOfFile(file, context.cwd)
      if (path === undefined && context.stdin.isTTY) {
        throw invalid('No archive comes from a terminal; send it in with < or |, or name a file.')
      }
      const storage = await context.open(where, { make: true, ...placeOptions(options) })
      const handle =
        path === undefined
          ? undefined
          : await open(path).catch((error: unknown) => {
              throw fileError(error, file)
            })
      try {
        const source = bytesOf(handle?.createReadStream() ?? context.stdin, file)
        const result = await bar(context, (onProgress) => {
          const more = { force: options.force, onProgress, clock: context.clock }
          return importZip(source, { storage, name: options.store }, more)
        })
        await context.out.line(options.json ? plainJson(result) : textOf(result, where))
      } finally {
        await handle?.close()
      }
    })
}

async function* bytesOf(stream: Readable, file: string): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const chunk of stream) yield chunk as Uint8Array
  } catch (error) {
    throw fileError(error, file === '-' ? 'stdin' : file)
  }
}

/** Turns an error of the system about the archive file into a sentence. */
function fileError(error: unknown, file: string): unknown {
  const { code } = error as { code?: unknown }
  if (error instanceof TidemarkError || typeof code !== 'string') return error
  if (code === 'ENOENT') return new TidemarkError('NOT_FOUND', `There is no ${file}; check the path.`, { cause: error })
  if (code === 'EISDIR') return invalid(`${file} is a folder; give the path of a file.`, error)
  return new TidemarkError('STORAGE_UNAVAILABLE', `${file} cannot be used: ${(error as Error).message}.`, {
    cause: error,
  })
}

function textOf({ name, version, from, copied, reused, bytes }: ImportResult, where: string): string {
  return `Version ${from} of the archive is version ${version} of store "${name}" in ${where}: ${count(copied)} segments copied, ${count(reused)} were there, ${size(bytes)} written.`
}
