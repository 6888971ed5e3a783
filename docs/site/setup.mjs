/** Installs what builds the site when it is missing. These are dependencies of this folder alone. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

if (!existsSync(join(import.meta.dirname, 'node_modules/.package-lock.json'))) {
  console.log('Installing what builds the site, which takes about a minute …')
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: import.meta.dirname,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  if (status !== 0) {
    console.error('What builds the site could not be installed. See what npm says above; it has to reach the registry.')
    process.exit(1)
  }
}
