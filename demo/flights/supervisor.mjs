// @ts-check
/** Runs the worker to its end, kills it on the way, and starts it again; tells what it has measured. */
import { fork } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const JOB = fileURLToPath(new URL('job.mjs', import.meta.url))
/** How long after its moment a kill may come, in milliseconds, so that it hits anything. Moments are chosen by progress. */
const KILL_DELAY_MS = 10
const NOTE_BYTES = 16

/**
 * @typedef {ReturnType<import('tidemark').Store['metrics']>} Metrics
 * @typedef {{ event: string, version: number, counted: number, metrics: Metrics }} Message
 * @typedef {{ begun: number, counted: number, version: number }} Restart
 *   How many flights the worker had begun when it was killed, and what it found when it started again.
 * @typedef {object} Plan
 * @property {string} directory
 * @property {number} limit
 * @property {number} everyEvents
 * @property {number} total flights
 * @property {number} counted flights that are counted already
 * @property {number} kills
 * @property {(counted: number, version: number) => void} onProgress
 * @property {(restart: Restart) => void} onRestart
 * @property {AbortSignal} signal
 */

/**
 * Resolves when the worker has finished, with the newest metrics of each run; rejects when it failed by itself.
 *
 * @param {Plan} plan
 */
export async function supervise(plan) {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-demo-'))
  const notes = openSync(join(folder, 'flight'), 'w+')
  const moments = killMoments(plan)
  /** @type {Metrics[]} */
  const metrics = []
  /** @type {number | undefined} */
  let begun
  try {
    for (;;) {
      writeSync(notes, ' '.repeat(NOTE_BYTES), 0)
      const run = await runWorker(plan, notes, moments, begun)
      metrics.push(run.metrics)
      if (run.finished) return metrics
      begun = readNote(notes)
    }
  } finally {
    closeSync(notes)
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Numbers of flights, at random and one in each equal part of what is left.
 *
 * @param {Plan} plan
 */
function killMoments({ total, counted, kills }) {
  const part = (total - counted) / kills
  return Array.from({ length: kills }, (_, i) => counted + part * (i + 0.1 + 0.6 * Math.random()))
}

/**
 * One run of the worker, to its end or to the next moment of `moments`.
 *
 * @param {Plan} plan
 * @param {number} notes
 * @param {number[]} moments
 * @param {number | undefined} begun
 * @returns {Promise<{ finished: boolean, metrics: Metrics }>}
 */
function runWorker(plan, notes, moments, begun) {
  const { directory, limit, everyEvents, signal } = plan
  return new Promise((resolve, reject) => {
    const worker = fork(JOB, [directory, String(limit), String(everyEvents)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', notes],
    })
    let finished = false
    let killed = false
    /** @type {Metrics} */
    let metrics
    const kill = () => {
      killed = true
      worker.kill('SIGKILL')
    }
    signal.addEventListener('abort', kill)
    worker.on('message', (/** @type {Message} */ message) => {
      const { event, version, counted } = message
      metrics = message.metrics
      if (event === 'opened' && begun !== undefined) plan.onRestart({ begun, counted, version })
      if (event === 'finished') finished = true
      plan.onProgress(counted, version)
      if (counted >= moments[0]) {
        moments.shift()
        setTimeout(kill, KILL_DELAY_MS * Math.random())
      }
    })
    worker.on('error', reject)
    worker.on('close', (code, reason) => {
      signal.removeEventListener('abort', kill)
      if (signal.aborted) reject(signal.reason)
      else if (finished || killed) resolve({ finished, metrics })
      else reject(new Error(`The worker ended with ${reason ?? `exit code ${code}`}.`))
    })
  })
}

/**
 * 0 when the worker came to none.
 *
 * @param {number} notes
 */
function readNote(notes) {
  const buffer = Buffer.alloc(NOTE_BYTES)
  readSync(notes, buffer, 0, NOTE_BYTES, 0)
  return Number(buffer.toString())
}
