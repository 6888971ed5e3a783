// @ts-check
/** The processes of the group: the supervisor starts, kills, freezes and thaws them, and hears what they tell. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const MEMBER = fileURLToPath(new URL('member.mjs', import.meta.url))

/**
 * @typedef {import('tidemark/group').ShardRange} ShardRange
 * @typedef {ReturnType<ReturnType<typeof import('./place.mjs').storageAt>['usage']>} Usage
 * @typedef {{ event: string, at: number, usage: Usage, shard?: ShardRange, version?: number, act?: string, error?: string }} Message
 * @typedef {{ child: import('node:child_process').ChildProcess, usage: Usage | undefined, fate: string }} Process
 */

export class Fleet {
  /** By name; those that have ended, too. @type {Map<string, Process>} */
  processes = new Map()
  /** What went wrong that nobody waited for. @type {unknown} */
  failure
  #settings
  #onCommit

  /**
   * @param {Omit<import('./member.mjs').Settings, 'name'>} settings
   * @param {(name: string, message: Message) => void} onCommit
   */
  constructor(settings, onCommit) {
    this.#settings = settings
    this.#onCommit = onCommit
  }

  /** Resolves when it is a member. @param {string} name */
  async join(name) {
    const child = fork(MEMBER, [JSON.stringify({ ...this.#settings, name })])
    const process = { child, usage: undefined, fate: 'running' }
    this.processes.set(name, process)
    child.on('message', (/** @type {Message} */ message) => {
      process.usage = message.usage
      if (message.event === 'committed') this.#onCommit(name, message)
    })
    child.on('exit', (code) => {
      if (code === 0) process.fate = 'left'
      else if (process.fate !== 'killed') this.failure = new Error(`Member ${name} ended with exit code ${code}.`)
    })
    await this.#answer(name, 'joined')
  }

  /** @param {string} name */
  kill(name) {
    const { child } = this.#signal(name, 'SIGKILL', 'killed')
    return once(child, 'exit')
  }

  /** @param {string} name */
  freeze(name) {
    this.#signal(name, 'SIGSTOP', 'frozen')
  }

  /** @param {string} name */
  thaw(name) {
    this.#signal(name, 'SIGCONT', 'running')
  }

  /** Resolves when it has handed off what it owned, and has ended. @param {string} name */
  async leave(name) {
    const { child } = this.#find(name)
    const ended = once(child, 'exit')
    child.send({ act: 'leave' })
    await ended
  }

  /** @param {string} name who is to ask for it @param {number} shards */
  async rescale(name, shards) {
    this.#find(name).child.send({ act: 'rescale', shards })
    await this.#answer(name, 'done')
  }

  /** What each running member has asked of the storage until now. */
  async usage() {
    const names = this.running
    for (const name of names) this.#find(name).child.send({ act: 'usage' })
    const told = await Promise.all(names.map((name) => this.#answer(name, 'usage')))
    return new Map(names.map((name, i) => [name, told[i].usage]))
  }

  get running() {
    return [...this.processes].filter(([, { fate }]) => fate === 'running').map(([name]) => name)
  }

  /** Ends what is left, the frozen ones too. */
  close() {
    for (const process of this.processes.values()) {
      if (process.child.exitCode !== null || process.child.signalCode !== null) continue
      process.fate = 'killed'
      process.child.kill('SIGKILL')
    }
  }

  /** @param {string} name @param {NodeJS.Signals} signal @param {string} fate */
  #signal(name, signal, fate) {
    const process = this.#find(name)
    process.fate = fate
    process.child.kill(signal)
    return process
  }

  /** @param {string} name */
  #find(name) {
    return /** @type {Process} */ (this.processes.get(name))
  }

  /** Waits for a word of a member. @param {string} name @param {string} event @returns {Promise<Message>} */
  #answer(name, event) {
    const { child } = this.#find(name)
    return new Promise((resolve, reject) => {
      const end = () => {
        child.off('message', hear)
        child.off('exit', ended)
      }
      const hear = (/** @type {Message} */ message) => {
        if (message.event !== event && message.event !== 'failed') return
        end()
        if (message.event === event) resolve(message)
        else reject(new Error(`${message.act} of member ${name} failed: ${message.error}`))
      }
      const ended = () => {
        end()
        reject(new Error(`Member ${name} has ended, and should have said "${event}".`))
      }
      child.on('message', hear)
      child.on('exit', ended)
    })
  }
}
