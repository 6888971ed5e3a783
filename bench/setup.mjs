/**
 * Installs the peers when they are missing, and links this package among them. They are dependencies of this folder alone. With
 * `--link` it only links, for what is measured without peers.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

const needsPeers = !process.argv.includes('--link')
if (needsPeers && !existsSync(join(import.meta.dirname, 'node_modules/.package-lock.json'))) {
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
mkdirSync(join(import.meta.dirname, 'node_modules'), { recursive: true })
if (!existsSync(link)) symlinkSync(join(import.meta.dirname, '..'), link, 'junction')
