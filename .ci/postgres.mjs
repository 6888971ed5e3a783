/**
 * Finds the PostgreSQL server that tests start, and installs it where it is missing: Debian's package as root on Debian. The
 * server of that package is not left running. TIDEMARK_POSTGRES names the folder of another one's programs (initdb, postgres).
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const DEBIAN = '/usr/lib/postgresql'

/** The folder of `initdb` and `postgres`. */
export function findPostgres() {
  const found = installed()
  if (found) return found
  if (existsSync('/etc/debian_version') && process.getuid?.() === 0) install()
  const fresh = installed()
  if (fresh) return fresh
  throw new Error(
    'There is no PostgreSQL server and none could be installed, so its tests cannot run. Install one (on Debian: apt-get install ' +
      'postgresql; elsewhere your package manager), or name the folder of its initdb in TIDEMARK_POSTGRES.',
  )
}

function installed() {
  const named = process.env.TIDEMARK_POSTGRES
  if (named) return named
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [
    ...versions.map((version) => join(DEBIAN, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ]
  return folders.find((folder) => folder && existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
}

/** The package makes a cluster and runs it, unless it is told not to. */
function install() {
  run('apt-get', ['install', '-y', '--no-install-recommends', 'postgresql-common'])
  const settings = '/etc/postgresql-common/createcluster.conf'
  run('sed', ['-i', 's/^#\\?create_main_cluster.*/create_main_cluster = false/', settings])
  run('apt-get', ['install', '-y', '--no-install-recommends', 'postgresql'])
}

/** Its output goes to standard error: standard output is for the answer. */
function run(command, args) {
  spawnSync(command, args, { stdio: ['ignore', 2, 2], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
}
