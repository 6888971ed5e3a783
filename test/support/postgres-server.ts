/**
 * A PostgreSQL server of its own, in a temporary folder, reached by a socket in it. It is ended with the process that started it.
 * PostgreSQL refuses to run as root: then it runs as the user that its package made.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { systemClock } from 'tidemark'
import { findPostgres } from '../../.ci/postgres.mjs'
import { sleep } from '../../src/clock.js'

/** The user, whose password errors and logs must never show. */
export const PASSWORD = 'a-password-for-tests/with?everything#in@it'
const USER = 'tests'

export interface PostgresServer {
  /** For `new Pool(…)`. */
  readonly config: {
    readonly host: string
    readonly user: string
    readonly password: string
    readonly database: string
  }
  /** A Pool whose idle connections keep no process alive. It is ended with the server. */
  pool(options?: pg.PoolConfig): pg.Pool
  /** Ends it without any grace: every process of it is killed, or it is told to stop at once. */
  kill(how: 'SIGKILL' | 'immediate'): Promise<void>
  /** Starts it again, which recovers. */
  start(): Promise<void>
  stop(): Promise<void>
}

export async function startPostgres(settings: readonly string[] = []): Promise<PostgresServer> {
  const bin = findPostgres()
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-pg-'))
  const data = join(folder, 'data')
  const owner = process.getuid?.() === 0 ? ownerOf() : undefined
  const as = owner ? { uid: owner.uid, gid: owner.gid } : {}
  if (owner) chownSync(folder, owner.uid, owner.gid)
  const env = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' }
  const passwords = join(folder, 'password')
  writeFileSync(passwords, `${PASSWORD}\n`, { mode: 0o644 })
  const initdb = ['-D', data, '-U', USER, '-A', 'scram-sha-256', '-E', 'UTF8', '--no-sync', `--pwfile=${passwords}`]
  execFileSync(join(bin, 'initdb'), initdb, { ...as, env, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })

  const pools: pg.Pool[] = []
  let server: ChildProcess | undefined
  let exited: Promise<unknown> = Promise.resolve()
  const config = { host: folder, user: USER, password: PASSWORD, database: 'postgres' }

  async function start(): Promise<void> {
    const options = ['listen_addresses=', `unix_socket_directories=${folder}`, 'max_connections=200', ...settings]
    const child = spawn(join(bin, 'postgres'), ['-D', data, ...options.flatMap((option) => ['-c', option])], {
      ...as,
      env,
      cwd: folder,
      stdio: 'ignore',
    })
    server = child
    exited = new Promise((resolve) => child.once('exit', resolve))
    await until(async () => {
      const client = new pg.Client(config)
      client.on('error', () => {})
      try {
        await client.connect()
        await client.end()
        return true
      } catch (error) {
        if (child.exitCode !== null)
          throw new Error(`The server of the tests ended with ${child.exitCode}.`, { cause: error })
        return false
      }
    })
  }

  /** A postmaster that is killed leaves its children, which end by themselves; all of them have to be gone before the next start. */
  async function kill(how: 'SIGKILL' | 'immediate'): Promise<void> {
    const children = how === 'SIGKILL' ? childrenOf(server!.pid!) : []
    server!.kill(how === 'SIGKILL' ? 'SIGKILL' : 'SIGQUIT')
    for (const child of children) signal(child, 'SIGKILL')
    await exited
    await until(() => !children.some(isRunning))
  }
  // The end of the process would leave it running.
  const killAll = (): void => void server?.kill('SIGQUIT')
  process.once('exit', killAll)

  await start()
  return {
    config,
    pool(options) {
      const pool = new pg.Pool({ ...config, allowExitOnIdle: true, ...options })
      pools.push(pool)
      // Servers of tests end while connections are idle.
      pool.on('error', () => {})
      return pool
    },
    kill,
    start,
    async stop() {
      process.removeListener('exit', killAll)
      server!.kill('SIGQUIT')
      await exited
      // A pool waits for connections that tests have not given back.
      await Promise.race([Promise.all(pools.filter((pool) => !pool.ended).map((pool) => pool.end())), exited])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function ownerOf(): { readonly uid: number; readonly gid: number } {
  const [, , uid, gid] = /^postgres:[^\n]*/m.exec(readFileSync('/etc/passwd', 'utf8'))![0].split(':')
  return { uid: Number(uid), gid: Number(gid) }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended.
  }
}

/** One that has ended may be listed until somebody asks for its end. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

async function until(isDone: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000
  while (!(await isDone())) {
    if (performance.now() > end) throw new Error('The server of the tests did not answer within a minute.')
    await sleep(systemClock, 20)
  }
}
