/** The command line: arguments in, an exit code out. It is handed everything that it touches, so that tests can run it. */
import { createRequire } from 'node:module'
import type { Readable, Writable } from 'node:stream'
import { Command, CommanderError } from 'commander'
import { systemClock, type Clock } from '../clock.js'
import { isTidemarkError } from '../errors.js'
import type { Storage } from '../storage/contract.js'
import { commands } from './commands/index.js'
import type { Context } from './context.js'
import { plainJson } from './json.js'
import { inFlags } from './messages.js'
import { Output, ReaderGone } from './output.js'
import { paintOn } from './paint.js'
import { harmless } from '../tools/text.js'
import { storageAt } from './where.js'

export interface World {
  /**
   * The input of `import -` and of values.
   * @default that of the process
   */
  readonly stdin?: (Readable & { readonly isTTY?: boolean }) | undefined
  readonly stdout: Writable & { readonly columns?: number; readonly isTTY?: boolean }
  readonly stderr: Writable & { readonly isTTY?: boolean }
  readonly cwd: string
  /**
   * Opens the storage of a `<where>`.
   * @default the folder of that path, or the bucket of an s3:// address
   */
  readonly open?: ((where: string) => Storage) | undefined
  readonly clock?: Clock | undefined
  /** Ends a command that goes on until it is interrupted. */
  readonly signal?: AbortSignal | undefined
}

/** The width when the output is no terminal, or a terminal that does not tell its width. */
const WIDTH = 80

/** Runs one command. Resolves to 0, or to 1 when it failed, which stderr explains. It never rejects. */
export async function run(argv: readonly string[], world: World): Promise<number> {
  const options = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv
  const out = new Output(world.stdout)
  const json = options.includes('--json')
  const report = reporter(world.stderr, json)
  const terminal = world.stderr.isTTY && !json ? world.stderr : undefined
  const { stdin = process.stdin, stdout, cwd, clock = systemClock } = world
  const open: Context['open'] = world.open ?? ((where, options) => storageAt(where, { ...options, cwd, clock }))
  const page = { width: stdout.columns || WIDTH, paint: paintOn(stdout) }
  const context: Context = {
    out,
    note: (message) => report.note(message),
    open,
    stdin,
    stdout,
    cwd,
    terminal,
    clock,
    signal: world.signal,
    ...page,
  }
  try {
    const failure = await parse(argv, world, context)
    await out.flush()
    if (failure) report.usage(failure)
    return failure ? 1 : 0
  } catch (error) {
    if (error instanceof ReaderGone) return 0
    // Output from before the failure is worth reading.
    await out.flush().catch(() => undefined)
    report.failure(error)
    return 1
  } finally {
    await report.end()
  }
}

interface UsageFailure {
  /** Empty when no command was given. */
  readonly message: string
  /** The addition of commander: where to find help, or help itself. */
  readonly hint: string
}

/** Finds the command and runs it. Commander's complaint about a wrong call comes back as a value. */
async function parse(argv: readonly string[], world: World, context: Context): Promise<UsageFailure | undefined> {
  let message = ''
  let hint = ''
  let help = ''
  const program = new Command('tidemark')
    .description('Look into durable state: what a store holds, and how it came to be.')
    .version(version(), '--version', 'print the version of tidemark')
    .showHelpAfterError('Run "tidemark --help" to see what there is.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => (help += text),
      writeErr: (text) => (hint += text),
      outputError: (text) => (message += text),
      getOutHelpWidth: () => context.width,
      getErrHelpWidth: () => context.width,
    })
  for (const add of commands) add(program, context)
  // A call without a command is no mistake: it shows what there is.
  if (argv.length === 0) {
    await context.out.line(program.helpInformation().trimEnd())
    return undefined
  }
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode !== 0) return { message, hint }
    await context.out.line(help.trimEnd())
  }
  return undefined
}

/** Writes to stderr, for people or for programs. A failure of stderr itself is not told to anybody. */
function reporter(stderr: Writable, json: boolean) {
  const target = new Output(stderr)
  const print = (text: string): void => {
    target.line(text).catch(() => undefined)
  }
  const error = (code: string, message: string): void =>
    print(json ? plainJson({ error: { code, message } }) : `tidemark: ${code}: ${harmless(message)}`)
  return {
    note(message: string): void {
      const text = inFlags(message)
      print(json ? plainJson({ note: text }) : `tidemark: ${harmless(text)}`)
    },
    failure(cause: unknown): void {
      if (isTidemarkError(cause)) error(cause.code, inFlags(cause.message))
      // This is a fault of Tidemark itself, and who reports it needs the place.
      else error('INTERNAL', cause instanceof Error ? (cause.stack ?? cause.message) : String(cause))
    },
    usage({ message, hint }: UsageFailure): void {
      const sentence = message
        .replace(/^error: /, '')
        .trim()
        .replace(/\s*\n\s*/g, '; ')
      if (message !== '' || json) error('INVALID_ARGUMENT', sentence || 'A command is missing.')
      if (!json) print(hint.trimEnd())
    },
    end: (): Promise<void> => target.flush().catch(() => undefined),
  }
}

/** The version of the package, found by its own name: that leads to one file from the sources and from dist. */
function version(): string {
  const { version } = createRequire(import.meta.url)('tidemark/package.json') as { version: string }
  return version
}
