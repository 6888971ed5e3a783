/** The log of the node-fs adapter on the model of a file system, and the files in its folder. */
import { expect } from 'vitest'
import { LOG_TUNING, type LogTuning } from '../../adapters/node-fs/log/tuning.js'
import { fileStorage } from '../../adapters/node-fs/storage.js'
import type { FileSystem } from '../../adapters/node-fs/file-system.js'
import type { Log, LogOptions, Storage } from '../../src/storage/contract.js'
import { ModelFs, type ModelProcess, type Step, type Verdict } from './model-fs.js'
import { modelClock } from './model-fs-run.js'

export const LOG = 'orders/0/id'
export const FOLDER = `/disk/${LOG}/@log`
export const tuning: LogTuning = { ...LOG_TUNING, patienceMs: 0 }
export const text = (value: string): Uint8Array => new TextEncoder().encode(value)
export const string = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes)
export const expected = (to: number): string[] => Array.from({ length: to }, (_, i) => `entry ${i + 1}`)

let seed = 0

export class FileLogWorld {
  disk = new ModelFs()
  /** Decides the next calls of the processes that `broken` makes. */
  decide: (step: Step) => Verdict = () => undefined
  /** The calls of these processes. */
  calls: string[] = []

  storage(fs: FileSystem = this.disk.process(), changes: Partial<LogTuning> = {}): Storage {
    return fileStorage(fs, '/disk', modelClock(++seed), { ...tuning, ...changes })
  }

  log(options?: LogOptions): Log {
    return this.storage().log(LOG, options)
  }

  broken(): ModelProcess {
    return this.disk.process({
      onStep: (step) => {
        this.calls.push(step.call)
        return this.decide(step)
      },
    })
  }

  async entries(log = this.log()): Promise<(string | undefined)[]> {
    const { numbers } = await log.list(1)
    return Promise.all(numbers.map(async (n) => string((await log.read(n)).bytes)))
  }

  names(): Promise<readonly string[]> {
    return this.disk.process().names(FOLDER)
  }

  /** The path of the newest log file. */
  async file(): Promise<string> {
    const logs = (await this.names()).filter((name) => name.startsWith('log.'))
    return `${FOLDER}/${logs.sort().at(-1)!}`
  }
}

/** Claims the first entry, and appends the others up to `to`. */
export async function fill(log: Log, to: number, from = 1): Promise<Log> {
  expect((await log.claim(from, text(`entry ${from}`), 1)).outcome).toBe('committed')
  for (let n = from + 1; n <= to; n++) expect((await log.append(n, text(`entry ${n}`), 1)).outcome).toBe('committed')
  return log
}
