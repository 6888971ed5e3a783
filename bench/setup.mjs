/** Installs the peers when they are missing, and links this package among them. They are dependencies of this folder alone. */
import { spawnSync } from 'node:child_process'
import { existsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

if (!existsSync(join(import.meta.dirname, 'node_modules/.package-lock.json'))) {
  console.log('Installing the peers: that takes some minutes, as SQLite is built here …')
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: import.meta.dirname,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  if (status !== 0) {
    console.error('The peers could not be installed. See what npm says above; it has to reach the registry.')
    process.exit(1)
  }
}

const link = join(import.meta.dirname, 'node_modules/tidemark')
if (!existsSync(link)) symlinkSync(join(import.meta.dirname, '..'), link, 'junction')
