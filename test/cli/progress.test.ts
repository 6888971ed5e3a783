import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { systemClock, type Clock } from 'tidemark'
import { expect, test } from 'vitest'
import { cli, storeWith } from '../support/cli.js'

/** A terminal before which a person sits, with all that was written to it. */
class Terminal extends Writable {
  readonly columns = 60
  text = ''

  constructor(readonly isTTY: boolean) {
    super()
  }

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

/** On which each look takes so long. */
function slowClock(ms: number): Clock {
  let now = 0
  return { ...systemClock, monotonic: () => (now += ms) }
}

const folder = (): Promise<string> =>
  storeWith(async (store) => {
    for (let i = 0; i < 20; i++) {
      store.put(i, 'x')
      await store.commit()
    }
  })

/** Runs `verify`, and resolves with its exit code and its stderr. */
async function stderr(where: string, args: string[], isTTY: boolean, clock: Clock): Promise<[code: number, string]> {
  const terminal = new Terminal(isTTY)
  const { code, out } = await cli(['verify', where, ...args], { stderr: terminal, clock })
  expect(out).not.toContain('\u001b')
  return [code, terminal.text]
}

const CLEARED = '\u001b[1G\u001b[2K'

test('a bar shows how long work goes on, to a person at a terminal, and is gone when it is done', async () => {
  const where = await folder()
  const [code, text] = await stderr(where, [], true, slowClock(1_000))
  expect(code).toBe(0)
  const shown = [...text.matchAll(/([█░]{20}) (\d+) of (\d+) objects, \d[\d.]* (?:B|KiB)/g)]
  expect(shown[0]!.slice(2, 3)).toEqual(['1'])
  const [bar, done, total] = shown.at(-1)!.slice(1)
  expect([bar, done]).toEqual(['█'.repeat(20), total])
  expect(Number(done)).toBeGreaterThan(20)
  expect(text.endsWith(CLEARED)).toBe(true)
  // Cursor and wrapping are left as they are: nobody would set them right after Ctrl-C.
  expect(text).not.toContain('\u001b[?')
})

test('no bar flashes up for short work', async () => {
  expect(await stderr(await folder(), [], true, slowClock(0))).toEqual([0, ''])
})

test('no bar is drawn with --json, nor where there is no terminal', async () => {
  const where = await folder()
  expect(await stderr(where, ['--json'], true, slowClock(1_000))).toEqual([0, ''])
  expect(await stderr(where, [], false, slowClock(1_000))).toEqual([0, ''])
})

test('the bar is gone before a failure is told, and leaves signals to the program', async () => {
  const where = await folder()
  const log = readdirSync(where, { recursive: true, encoding: 'utf8' }).find((path) => /\/log\.\d+/.test(path))!
  const signals = process.listenerCount('SIGINT')
  const long: Clock = { ...slowClock(1_000) }
  let most = 0
  const watching = {
    ...long,
    monotonic: () => ((most = Math.max(most, process.listenerCount('SIGINT'))), long.monotonic()),
  }
  const [sound] = await stderr(where, [], true, watching)
  expect([sound, most]).toEqual([0, signals])
  writeFileSync(join(where, log), new Uint8Array(500))
  const [code, text] = await stderr(where, [], true, slowClock(1_000))
  expect(code).toBe(1)
  expect(text.split(CLEARED).at(-1)).toMatch(/^tidemark: CORRUPT: .*\n$/)
})
