/** The command line run in this process, on folders made for a test. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { openStore, type Codec, type OpenOptions, type Store } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { onTestFinished } from 'vitest'
import { run, type World } from '../../src/cli/run.js'
import { steadyClock } from './example.js'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs `tidemark …args` and returns what it printed. */
export async function cli(args: readonly string[], world: Partial<World> = {}): Promise<Ran> {
  const stdout = new Printed()
  const stderr = new Printed()
  const code = await run(args, { stdin: Readable.from([]), stdout, stderr, cwd: tmpdir(), ...world })
  return { code, out: stdout.text, err: stderr.text }
}

/** A stream that keeps what it gets, and lets each write wait a turn as a pipe does. */
class Printed extends Writable {
  text = ''

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk.toString()
    setImmediate(done)
  }
}

/** A folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-cli-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Every file below a folder with its bytes and the time of its last change. */
export function filesOf(folder: string): Record<string, string> {
  const files: Record<string, string> = {}
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const stat = statSync(join(folder, name))
    const bytes = stat.isFile() ? readFileSync(join(folder, name), 'base64') : ''
    files[name] = `${stat.mtimeMs} ${bytes}`
  }
  return files
}

/** The lines of NDJSON. */
export function parseLines(text: string): unknown[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown)
}

/** A codec that is not the default one. */
export const upper: Codec<string> = {
  id: 'upper',
  encode: (value) => new TextEncoder().encode(value.toUpperCase()),
  decode: (bytes) => new TextDecoder().decode(bytes),
}

/** A store in a new folder, filled and closed. */
export async function storeWith(
  fill: (store: Store) => Promise<void>,
  options: Partial<OpenOptions> = {},
): Promise<string> {
  const folder = temporaryFolder()
  const store = await openStore({ storage: nodeFs(folder), name: 'orders', clock: steadyClock(), ...options })
  await fill(store)
  await store.close()
  return folder
}
